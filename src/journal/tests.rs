//! Whatever happens to a disk, a journal gives back what it acknowledged.
//!
//! `SANMA_SEEDS=N` runs other than the usual number of seeds, `SANMA_SEED=S` a single one.

use std::ops::Range;

use super::*;

const SEEDS: u64 = 3_000;

fn seeds() -> Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    number("SANMA_SEED").map_or(0..number("SANMA_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1)
}

/// Draws of a test, apart from those of the disk.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn payload(number: u64, draw: &mut Draw) -> Vec<u8> {
    let length = if draw.below(8) == 0 { draw.below(3_000) } else { draw.below(40) };
    let mut payload = number.to_le_bytes().to_vec();
    payload.extend((0..length).map(|at| u8::try_from((number * 31 + at) % 251).expect("small")));
    payload
}

fn content<S: Storage>(journal: &Journal<S>, from: Position) -> Result<Vec<Vec<u8>>, JournalError> {
    let (mut payloads, mut next) = (Vec::new(), from.0);
    journal.replay(from, |position, payload| {
        assert_eq!(position.0, next, "positions are dense");
        next += 1;
        payloads.push(payload.to_vec());
        Ok::<(), JournalError>(())
    })?;
    Ok(payloads)
}

/// What somebody knows who has used the journal.
#[derive(Default)]
struct Known {
    /// All that was handed over, by position from 1.
    handed: Vec<Vec<u8>>,
    acknowledged: usize,
    /// Where the group that was handed over last begins.
    group: usize,
    dropped: usize,
}

/// What is wrong with a journal that was opened after a crash, and what is known then.
fn judge(journal: &Journal<Disk>, known: &mut Known) -> Result<(), String> {
    let first = usize::try_from(journal.segments()[0].first.0).expect("small");
    let last = usize::try_from(journal.last().0).expect("small");
    if first > known.dropped + 1 {
        return Err(format!("begins at {first}, but only what is before {} was dropped", known.dropped + 1));
    }
    if last < known.acknowledged {
        return Err(format!("ends at {last}, and {} were acknowledged", known.acknowledged));
    }
    if last != known.acknowledged && last != known.handed.len() || last > known.handed.len() {
        return Err(format!("ends at {last}, inside a group of {}..={}", known.group, known.handed.len()));
    }
    let payloads = content(journal, journal.segments()[0].first).map_err(|error| error.to_string())?;
    if payloads != known.handed[first - 1..last] {
        return Err(format!("holds {} payloads that are others than those handed over", payloads.len()));
    }
    known.handed.truncate(last);
    known.acknowledged = last;
    Ok(())
}

/// One life of a disk: groups, faults, crashes.
fn live(seed: u64, lies: bool) -> Result<(), String> {
    let mut draw = Draw(seed.wrapping_mul(2_654_435_761).wrapping_add(7));
    let disk = Disk::new(seed);
    let mut known = Known::default();
    let fault = lies.then_some(Fault::Lie);
    disk.set_fault(fault);
    for _ in 0..6 {
        let opened = Journal::open(disk.clone()).map(|(journal, _)| journal.with_segment_bytes(1 + draw.below(4_000)));
        let mut journal = match opened {
            Ok(journal) => journal,
            Err(error) if disk.state_has_fault() => {
                disk.crash();
                drop(error);
                continue;
            }
            Err(error) => return Err(format!("cannot be opened: {error}")),
        };
        judge(&journal, &mut known)?;
        let fault_at = draw.below(12);
        for step in 0..draw.below(14) {
            if step == fault_at && !lies {
                let after = u32::try_from(draw.below(3)).expect("small");
                disk.set_fault(Some(if draw.below(2) == 0 { Fault::Write(after) } else { Fault::Sync(after) }));
            }
            if draw.below(6) == 0 {
                let before = draw.below(journal.last().0 + 2);
                known.dropped = known.dropped.max(usize::try_from(before).expect("small").saturating_sub(1));
                // A failure is only that: what stays is still whole.
                let _ = journal.drop_before(Position(before));
            }
            let group: Vec<Vec<u8>> =
                (0..=draw.below(4)).map(|number| payload(known.handed.len() as u64 + number, &mut draw)).collect();
            if journal.shut.is_none() {
                known.group = known.handed.len() + 1;
                known.handed.extend(group.iter().cloned());
            }
            match journal.append(&group) {
                Ok(positions) => known.acknowledged = usize::try_from(positions.end().0).expect("small"),
                Err(JournalError::Io { .. } | JournalError::Shut { .. }) => {}
                Err(error) => return Err(format!("says {error}")),
            }
        }
        drop(journal);
        disk.crash();
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_any_crash() {
    for seed in seeds() {
        if let Err(wrong) = live(seed, false) {
            panic!("the journal {wrong}; SANMA_SEED={seed} repeats it");
        }
    }
}

/// The test above would see it.
#[test]
fn a_disk_that_lies_is_caught() {
    let caught = (0..200).filter(|&seed| live(seed, true).is_err()).count();
    assert!(caught > 100, "only {caught} of 200 lying disks were caught");
}

/// A journal of several segments, and what it holds.
fn sample() -> (Disk, Vec<Vec<u8>>) {
    let disk = Disk::new(1);
    let (journal, recovery) = Journal::open(disk.clone()).expect("an empty disk");
    assert_eq!(recovery, Recovery::default());
    let mut journal = journal.with_segment_bytes(80);
    let payloads: Vec<Vec<u8>> = (0..9).map(|number: u8| vec![number; usize::from(number) * 3]).collect();
    for group in payloads.chunks(2) {
        journal.append(group).expect("a disk without faults");
    }
    assert!(journal.segments().len() > 2, "{:?}", journal.segments());
    (disk, payloads)
}

#[test]
fn wherever_the_last_segment_is_cut_whole_groups_are_left() {
    let (disk, payloads) = sample();
    let (journal, _) = Journal::open(disk.clone()).expect("whole");
    let last = journal.segments().last().expect("there is one").clone();
    let length = disk.read(&last.name).expect("there").len();
    for cut in 0..length {
        let (disk, _) = sample();
        disk.damage(&last.name, |bytes| bytes.truncate(cut));
        let (mut journal, recovery) = Journal::open(disk).expect("a torn end is cut");
        let held = content(&journal, Position(1)).expect("whole");
        assert_eq!(held, payloads[..held.len()]);
        assert!(held.len().is_multiple_of(2), "{} at {cut}", held.len());
        assert_eq!(usize::try_from(recovery.cut_bytes).expect("small") > 0, ![0, HEADER_BYTES].contains(&cut), "{cut}");
        journal.append(&[b"more"]).expect("it goes on");
        assert_eq!(content(&journal, Position(1)).expect("whole").len(), held.len() + 1);
    }
}

#[test]
fn no_flipped_bit_gives_another_payload() {
    let (disk, payloads) = sample();
    let names = disk.names().expect("names");
    let last = names.iter().max().expect("segments").clone();
    for name in names {
        for bit in 0..disk.read(&name).expect("there").len() * 8 {
            let (disk, _) = sample();
            disk.damage(&name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let held = Journal::open(disk).and_then(|(journal, _)| content(&journal, Position(1)));
            match held {
                Ok(held) => {
                    assert_eq!(name, last, "only the last frame can be one that was never acknowledged");
                    assert_eq!(held, payloads[..held.len()]);
                    assert!(held.len() + 2 >= payloads.len(), "{} left, bit {bit}", held.len());
                }
                Err(JournalError::Damaged { segment, .. }) => assert_eq!(segment, name, "bit {bit}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let (disk, _) = sample();
    let (journal, _) = Journal::open(disk.clone()).expect("whole");
    let gone = journal.segments()[1].name.clone();
    disk.remove(&gone).expect("there");
    let (journal, _) = Journal::open(disk).expect("the last one is whole");
    let error = content(&journal, Position(1)).expect_err("one is missing").to_string();
    assert!(error.contains("one is missing or cut"), "{error}");
}

#[test]
fn what_is_dropped_is_gone_and_the_rest_is_not() {
    let (disk, payloads) = sample();
    let (mut journal, _) = Journal::open(disk).expect("whole");
    assert_eq!(journal.drop_before(Position(1)).expect("nothing"), 0);
    let third = journal.segments()[2].first;
    assert_eq!(journal.drop_before(third).expect("two"), 2);
    let error = content(&journal, Position(1)).expect_err("gone").to_string();
    assert!(error.contains(&format!("begins at {}", third.0)), "{error}");
    let from = usize::try_from(third.0).expect("small") - 1;
    assert_eq!(content(&journal, third).expect("whole"), payloads[from..]);
    journal.drop_before(Position(u64::MAX)).expect("but the last");
    assert_eq!(journal.segments().len(), 1);
}

#[test]
fn a_folder_is_one_process_s_and_survives_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Journal::open(Folder::open(&folder.path().join("log"))?);
    let (mut journal, _) = open().expect("a new one");
    journal.append(&[&b"one"[..], b"two"]).expect("room");
    assert!(matches!(open(), Err(JournalError::Locked { .. })));
    drop(journal);
    let (mut journal, recovery) = open().expect("free again");
    assert_eq!(recovery.cut_bytes, 0);
    assert_eq!(content(&journal, Position(2)).expect("whole"), [b"two"]);
    let too_long = journal.append(&[vec![0; JOURNAL_FRAME_BYTES_MAX]]).expect_err("too long");
    assert!(matches!(too_long, JournalError::TooLong { .. }));
    assert_eq!(*journal.append(&[b"three"]).expect("nothing has changed").end(), Position(3));
}
