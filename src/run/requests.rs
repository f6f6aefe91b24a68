//! What others ask of a run while it goes on: facts to be taken, rules to come into force, a look at the city.
//!
//! The one idea: requests come through a bounded channel to the one writer. Those that wait are journalled as one group, with one
//! sync; each is answered when its changes have been told. Whoever looks at the city sees all that was answered before.

use crossbeam_channel::Receiver;

use super::outlets::Outlets;
use super::{Follower, Heard, Progress, RunError, Stage, hand_over, outcomes, records_of, step};
use crate::engine::{City, Engine, Offset, Record, Rules, View, Word};
use crate::ingest::feed::Event;
use crate::journal::{Folder, Position};
use crate::limits::{JOURNAL_BYTES_PER_BYTE, JOURNAL_FRAME_BYTES_MAX, REQUEST_BYTES_MAX, REQUESTS_PER_GROUP_MAX};
use crate::model::Timestamp;
use crate::rules::RuleSet;
use crate::sources::Piece;

/// What those are called as a source who ask.
const HTTP: &str = "http";

/// What somebody asks.
pub enum Request {
    /// To take messages.
    Say(Say),
    /// To put rules in force.
    Enact(Box<RuleSet>, Reply<Receipt>),
    /// What stands, between two steps.
    View(Reply<Seen>),
}

/// What stands, and how far that has been told.
#[derive(Debug)]
pub struct Seen {
    /// What stands.
    pub view: View,
    /// What the files hold of it.
    pub told: Progress,
}

/// Messages, and who is told when they count.
pub struct Say {
    /// What they say.
    pub events: Vec<Event>,
    /// How long they were, as text or at least a quarter of what they are in the journal.
    pub bytes: usize,
    /// A name for them, and how long they are: of messages under a name that has been taken before, nothing is taken again.
    pub key: Option<Offset>,
    /// Who is told.
    pub reply: Reply<Result<Receipt, NotTaken>>,
}

/// Who is told how it went. Dropped without a word if the run ends before.
pub type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// Messages count, and their changes have been told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Position that holds them and all before.
    pub position: Position,
    /// T.
    pub as_of: Timestamp,
    /// Messages of facts that were taken.
    pub taken: u64,
    /// Messages and rows refused: lines of NDJSON.
    pub refused: Vec<u8>,
    /// Codes that changed.
    pub changes: u64,
    /// Whether the same messages had been taken before, so that nothing was taken now.
    pub is_repeated: bool,
}

impl Receipt {
    /// How many messages and rows were refused.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        memchr::memchr_iter(b'\n', &self.refused).count() as u64
    }
}

/// Why messages are not taken; nothing of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Their name was given to others before.
    Reused,
    /// What would be refused of them is longer than the journal takes at once.
    TooMuchRefused,
}

/// Messages that become records, and whom to answer.
struct Taken {
    reply: Reply<Result<Receipt, NotTaken>>,
    receipt: Receipt,
    records: usize,
}

/// Does what is asked, and whatever else is waiting, as one group.
pub(super) fn answer(
    first: Request,
    waiting: &Receiver<Request>,
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    follower: &mut Follower<'_>,
) -> Result<(), RunError> {
    let mut next = Some(first);
    while let Some(request) = next.take() {
        match request {
            Request::Say(say) => {
                let mut bytes = say.bytes;
                let mut says = vec![say];
                while says.len() < REQUESTS_PER_GROUP_MAX && bytes < REQUEST_BYTES_MAX {
                    match waiting.try_recv() {
                        Ok(Request::Say(say)) => {
                            bytes += say.bytes;
                            says.push(say);
                        }
                        other => {
                            next = other.ok();
                            break;
                        }
                    }
                }
                take(says, engine, outlets, follower)?;
            }
            Request::Enact(rules, reply) => {
                let as_of = follower.watcher.now().unwrap_or(engine.city().as_of());
                let word = Word::Rules(Rules::of(&rules));
                let told = outlets.told;
                let record = Record { as_of, source: None, refused: Vec::new(), word };
                step(engine, outlets, follower.watcher, vec![record])?;
                tracing::info!(rules = %rules.path, position = engine.last().0, "other rules are in force");
                hand_over(engine, outlets, follower.watcher)?;
                let (city, changes) = (engine.city(), outlets.told - told);
                reply(Receipt { position: city.position(), as_of: city.as_of(), changes, ..Receipt::default() });
            }
            Request::View(reply) => {
                let view = engine.city_mut().view();
                reply(Seen { view, told: outlets.progress(engine.city()) });
            }
        }
    }
    Ok(())
}

/// Messages that are new; of those under a name that was taken before, the answer is given.
fn if_new(say: Say, city: &City) -> Option<Say> {
    let Some((key, known)) = say.key.as_ref().and_then(|key| Some((key, city.offset(&key.source)?))) else {
        return Some(say);
    };
    let (position, as_of) = (city.position(), city.as_of());
    let receipt = Receipt { position, as_of, is_repeated: true, ..Receipt::default() };
    // Earlier versions knew a key's messages by their length alone.
    let is_same = Offset { stamp: known.stamp.and(key.stamp), ..key.clone() } == *known;
    let answer = if is_same { Ok(receipt) } else { Err(NotTaken::Reused) };
    (say.reply)(answer);
    None
}

/// Messages that are journalled together.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    taken: Vec<Taken>,
    /// How long the records are in the journal, at the most.
    bytes: usize,
}

fn take(
    says: Vec<Say>,
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    follower: &mut Follower<'_>,
) -> Result<(), RunError> {
    let (mut group, mut keys, mut later) = (Group::default(), Vec::<Offset>::new(), Vec::new());
    for say in says {
        if say.key.as_ref().is_some_and(|key| keys.iter().any(|other| other.source == key.source)) {
            // Answered once the first of its name counts.
            later.push(say);
            continue;
        }
        let Some(Say { events, key, reply, bytes }) = if_new(say, engine.city()) else { continue };
        let as_of = group.records.last().map_or(engine.city().as_of(), |record| record.as_of);
        let before = (follower.report.messages, follower.report.refused);
        let piece = Piece { events, offset: key.clone(), ..Piece::default() };
        let mut records = records_of(piece, as_of, follower)?;
        if records.is_empty() && key.is_some() {
            records.push(Record { as_of, source: key.clone(), refused: Vec::new(), word: Word::Time });
        }
        let refused: Vec<u8> = records.iter().flat_map(|record| record.refused.iter().copied()).collect();
        // What is taken is shorter in the journal than it came, but for the heads of records; what is refused is much longer.
        let bytes = refused.len() + JOURNAL_BYTES_PER_BYTE * bytes;
        if bytes > JOURNAL_FRAME_BYTES_MAX / 2 {
            (follower.report.messages, follower.report.refused) = before;
            reply(Err(NotTaken::TooMuchRefused));
            continue;
        }
        if group.bytes + bytes > JOURNAL_FRAME_BYTES_MAX / 2 {
            commit(std::mem::take(&mut group), engine, outlets, follower)?;
        }
        keys.extend(key);
        group.bytes += bytes;
        let receipt = Receipt { taken: follower.report.messages - before.0, refused, ..Receipt::default() };
        group.taken.push(Taken { reply, receipt, records: records.len() });
        group.records.append(&mut records);
    }
    commit(group, engine, outlets, follower)?;
    for say in later {
        // Of its name something counts now, so it is answered.
        if_new(say, engine.city());
    }
    Ok(())
}

/// Journals a group, tells its changes, and answers.
fn commit(
    group: Group,
    engine: &mut Engine<Folder>,
    outlets: &mut Outlets<'_>,
    follower: &Follower<'_>,
) -> Result<(), RunError> {
    let mut outcomes = outcomes(engine, follower.watcher, group.records)?.into_iter();
    let mut done = Vec::with_capacity(group.taken.len());
    for Taken { reply, mut receipt, records } in group.taken {
        let told = outlets.told;
        for outcome in outcomes.by_ref().take(records) {
            outlets.tell(engine.city(), &outcome)?;
            (receipt.position, receipt.as_of) = (outcome.position, outcome.as_of);
        }
        receipt.changes = outlets.told - told;
        if records == 0 {
            (receipt.position, receipt.as_of) = (engine.city().position(), engine.city().as_of());
        }
        done.push((reply, receipt));
    }
    hand_over(engine, outlets, follower.watcher)?;
    follower.watcher.passed(Stage::Tell);
    for (reply, receipt) in done {
        follower.watcher.heard(HTTP, Heard { messages: receipt.taken + receipt.refusals(), behind: 0 });
        reply(Ok(receipt));
    }
    Ok(())
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Say(_) => "Say",
            Self::Enact(..) => "Enact",
            Self::View(_) => "View",
        })
    }
}
