//! Changes as they are told, and what was refused: the files, streamed.
//!
//! The one idea: the file of changes is the buffer. A subscriber is a reader of it that waits at the end for more, so it may be as
//! slow as it likes, go away, and come back at any position.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use super::answer::{Refusal, preferred};
use super::form::{self, Carrier, Form, Wanted};
use crate::engine::View;
use crate::evaluate;
use crate::limits::{SUBSCRIBER_BYTES, SUBSCRIBER_SILENCE_SECONDS};
use crate::model::{ClosedEnum as _, Colour, PersonId, Region};
use crate::sinks;

/// Parts of an answer that wait for whoever reads it.
const PARTS_PENDING_MAX: usize = 2;

/// What is asked of the changes.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// After which position; from now on if left out.
    from: Option<u64>,
    /// Whether to wait for more.
    follow: Option<bool>,
    /// Only changes to this colour.
    colour: Option<String>,
    /// Only changes of who lives there: a street, district, city or province.
    district: Option<u32>,
    /// plain, or debezium.
    format: Option<String>,
}

impl Asked {
    /// In what the changes are told, by what is accepted, and which of them.
    fn form(&self, headers: &HeaderMap) -> Result<Form, Refusal> {
        let is_debezium = match self.format.as_deref() {
            None | Some("plain") => false,
            Some("debezium") => true,
            Some(other) => return Err(Refusal::bad(format!("{other} is no format; plain and debezium are"))),
        };
        if let Some(colour) = self.colour.as_deref().filter(|colour| !Colour::NAMES.contains(colour)) {
            return Err(Refusal::bad(format!("{colour} is no colour")));
        }
        let region = self.district.map(|code| {
            Region::new(code).ok_or_else(|| Refusal::bad(format!("{code} is no division; one has 6 or 9 digits")))
        });
        let carrier = match preferred(headers, &Carrier::NAMES) {
            Some(Carrier::ARROW) if is_debezium => {
                return Err(Refusal::bad("Debezium's envelope is JSON: accept events or lines"));
            }
            Some(Carrier::ARROW) => Carrier::arrow().map_err(|error| of_file(&error))?,
            Some(Carrier::LINES) => Carrier::Lines,
            _ => Carrier::Events,
        };
        let wanted = Wanted { colour: self.colour.clone(), region: region.transpose()? };
        Ok(Form { carrier, is_debezium, wanted, last: None })
    }
}

/// `GET /v1/changes`: server-sent events, or lines or an Arrow stream for who prefers those.
pub(super) async fn follow(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(asked) = asked?;
    let Some(path) = shared.changes.clone() else {
        return Err(Refusal::conflict("changes are told on standard output; run with a file of changes"));
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let after = match text("last-event-id").map(str::parse) {
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(Refusal::bad("a Last-Event-ID is a position")),
        None => asked.from,
    };
    let form = asked.form(&headers)?;
    shared.link.is_ready()?;
    let open = move |end: u64| -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let begin = after.map_or(Ok(end), |after| sinks::begin_after(&file, 0..end, after))?;
        Ok((file, begin))
    };
    let end = shared.link.progress().changes_bytes;
    let opened = tokio::task::spawn_blocking(move || open(end)).await;
    let (file, begin) = opened.map_err(io::Error::other).and_then(|opened| opened).map_err(|error| of_file(&error))?;
    let kind = form.carrier.name();
    let (send, receive) = mpsc::channel(PARTS_PENDING_MAX);
    let subscriber = Subscriber { file: Arc::new(file), begin, follows: asked.follow.unwrap_or(true), form, send };
    let Ok(permit) = Arc::clone(&shared).acquire() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many follow the changes already"));
    };
    tokio::spawn(async move {
        // Whoever went away is told nothing more; a file that fails ends the stream, and it is taken up again at its last position.
        drop(subscriber.run(&shared).await);
        drop(permit);
    });
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(ReceiverStream::new(receive))).into_response())
}

fn of_file(error: &io::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the file cannot be read: {error}"))
}

/// Counts among those who follow as long as it is there.
struct Permit(Arc<Shared>);

impl Shared {
    fn acquire(self: Arc<Self>) -> Result<Permit, tokio::sync::TryAcquireError> {
        self.subscribers.try_acquire()?.forget();
        Ok(Permit(self))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.subscribers.add_permits(1);
    }
}

struct Subscriber {
    file: Arc<File>,
    begin: u64,
    follows: bool,
    form: Form,
    send: mpsc::Sender<io::Result<Bytes>>,
}

impl Subscriber {
    async fn run(mut self, shared: &Arc<Shared>) -> Result<(), mpsc::error::SendError<io::Result<Bytes>>> {
        let (mut progress, mut stop) = (shared.link.follow(), shared.stop.clone());
        let silence = Duration::from_secs(SUBSCRIBER_SILENCE_SECONDS);
        loop {
            let end = progress.borrow_and_update().changes_bytes;
            while self.begin < end && !*stop.borrow() {
                match self.next(shared, end).await {
                    Ok(told) if told.is_empty() => {}
                    Ok(told) => self.send.send(Ok(told.into())).await?,
                    Err(error) => return self.send.send(Err(error)).await,
                }
            }
            if !self.follows || *stop.borrow() {
                return self.send.send(self.form.end().map(Bytes::from)).await;
            }
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return Ok(()) },
                _ = stop.changed() => return Ok(()),
                () = self.send.closed() => return Ok(()),
                () = tokio::time::sleep(silence) => {
                    if matches!(self.form.carrier, Carrier::Events) {
                        self.send.send(Ok(Bytes::from_static(b": nothing has changed\n\n"))).await?;
                    }
                }
            }
        }
    }

    /// Reads lines, and says them.
    async fn next(&mut self, shared: &Arc<Shared>, end: u64) -> io::Result<Vec<u8>> {
        let (file, part) = (Arc::clone(&self.file), self.begin..end);
        let bytes = tokio::task::spawn_blocking(move || read_lines(&file, part)).await.map_err(io::Error::other)??;
        let lines = form::parse(&bytes);
        let elsewhere = match self.form.wanted.region {
            Some(region) => {
                let persons: HashSet<String> = lines.iter().map(|(_, told)| told.person.to_string()).collect();
                let seen = shared.link.view().await.map_err(io::Error::other)?;
                who_lives_elsewhere(&seen.view, region, persons)
            }
            None => HashSet::new(),
        };
        self.begin += bytes.len() as u64;
        self.form.tell(lines, &elsewhere, self.begin == end)
    }
}

/// Those of some persons who live outside of a region. Whose declaration does not stand any more lives nowhere, and is told of to all.
fn who_lives_elsewhere(view: &View, region: Region, mut persons: HashSet<String>) -> HashSet<String> {
    let Some(program) = view.program() else { return HashSet::new() };
    let facts = view.facts();
    persons.retain(|token| {
        let person = facts.names.persons.find(token).map(PersonId);
        let standing = |person| evaluate::standing_declaration(facts, program, person, view.as_of());
        let lives = person.and_then(standing).map(|row| facts.declarations.residence[row]);
        lives.is_some_and(|lives| !std::iter::successors(Some(lives), |part| part.parent()).any(|part| part == region))
    });
    persons
}

/// Whole lines from the begin of some bytes of a file, at least one.
fn read_lines(file: &File, part: Range<u64>) -> io::Result<Vec<u8>> {
    let left = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while bytes.len() < left {
        let before = bytes.len();
        bytes.resize(left.min(before + SUBSCRIBER_BYTES), 0);
        file.read_exact_at(&mut bytes[before..], part.start + before as u64)?;
        if let Some(last) = memchr::memrchr(b'\n', &bytes) {
            bytes.truncate(last + 1);
            return Ok(bytes);
        }
    }
    Ok(bytes)
}

/// What is asked of the rejections.
#[derive(Debug, Deserialize)]
pub(super) struct Skipped {
    /// Lines to be passed over.
    from: Option<u64>,
}

/// `GET /v1/rejections`: lines as in the file.
pub(super) async fn rejections(
    State(shared): State<Arc<Shared>>,
    skipped: Result<Query<Skipped>, QueryRejection>,
) -> Result<Response, Refusal> {
    shared.link.is_ready()?;
    let Query(skipped) = skipped?;
    let path = shared.rejections.clone();
    let (send, receive) = mpsc::channel(PARTS_PENDING_MAX);
    let open = move || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(io::Error::other).and_then(|opened| opened);
    let (file, end) = opened.map_err(|error| of_file(&error))?;
    let mut left = skipped.from.unwrap_or(0);
    tokio::task::spawn_blocking(move || {
        let mut begin = 0;
        while begin < end {
            let part = read_lines(&file, begin..end);
            let lines = match part {
                Ok(lines) => lines,
                Err(error) => {
                    drop(send.blocking_send(Err(error)));
                    return;
                }
            };
            begin += lines.len() as u64;
            // What is not a whole line is being written.
            let whole = lines.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
            let asked: Vec<u8> = whole
                .filter(|_| {
                    let is_passed_over = left > 0;
                    left = left.saturating_sub(1);
                    !is_passed_over
                })
                .flatten()
                .copied()
                .collect();
            if !asked.is_empty() && send.blocking_send(Ok(Bytes::from(asked))).is_err() {
                return;
            }
        }
    });
    let head = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((head, Body::from_stream(ReceiverStream::new(receive))).into_response())
}
