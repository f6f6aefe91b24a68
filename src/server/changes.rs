//! Changes as they are told, and what was refused: the files, streamed.
//!
//! The one idea: the file of changes is the buffer. A subscriber is a reader of it that waits at the end for more, so it may be as
//! slow as it likes, go away, and come back at any position.

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
use super::answer::{Refusal, accepts};
use crate::limits::{SUBSCRIBER_BYTES, SUBSCRIBER_SILENCE_SECONDS};
use crate::model::{ClosedEnum as _, Colour};
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
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    position: u64,
    after: Option<String>,
}

/// `GET /v1/changes`: server-sent events, or lines for who accepts `application/x-ndjson`.
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
    if let Some(colour) = asked.colour.as_deref().filter(|colour| !Colour::NAMES.contains(colour)) {
        return Err(Refusal::bad(format!("{colour} is no colour")));
    }
    let is_plain = accepts(&headers, "application/x-ndjson");
    if !shared.is_ready.load(std::sync::atomic::Ordering::Acquire) {
        return Err(Refusal::unready());
    }
    let open = move |end: u64| -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let begin = after.map_or(Ok(end), |after| sinks::begin_after(&file, 0..end, after))?;
        Ok((file, begin))
    };
    let end = shared.progress.borrow().changes_bytes;
    let opened = tokio::task::spawn_blocking(move || open(end)).await;
    let (file, begin) = opened.map_err(io::Error::other).and_then(|opened| opened).map_err(|error| of_file(&error))?;
    let (send, receive) = mpsc::channel(PARTS_PENDING_MAX);
    let subscriber = Subscriber {
        file: Arc::new(file),
        begin,
        follows: asked.follow.unwrap_or(true),
        form: Form { is_plain, colour: asked.colour, last: None },
        send,
    };
    let Ok(permit) = Arc::clone(&shared).acquire() else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many follow the changes already"));
    };
    tokio::spawn(async move {
        // Whoever went away is told nothing more; a file that fails ends the stream, and it is taken up again at its last position.
        drop(subscriber.run(&shared).await);
        drop(permit);
    });
    let kind = if is_plain { "application/x-ndjson" } else { "text/event-stream" };
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
    async fn run(mut self, shared: &Shared) -> Result<(), mpsc::error::SendError<io::Result<Bytes>>> {
        let (mut progress, mut stop) = (shared.progress.clone(), shared.stop.clone());
        let silence = Duration::from_secs(SUBSCRIBER_SILENCE_SECONDS);
        loop {
            let end = progress.borrow_and_update().changes_bytes;
            while self.begin < end && !*stop.borrow() {
                let (file, part) = (Arc::clone(&self.file), self.begin..end);
                let read = tokio::task::spawn_blocking(move || read_lines(&file, part)).await;
                let lines = match read.map_err(io::Error::other).and_then(|read| read) {
                    Ok(lines) => lines,
                    Err(error) => return self.send.send(Err(error)).await,
                };
                self.begin += lines.len() as u64;
                let told = self.form.tell(&lines, self.begin == end);
                if !told.is_empty() {
                    self.send.send(Ok(told.into())).await?;
                }
            }
            if !self.follows || *stop.borrow() {
                return Ok(());
            }
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return Ok(()) },
                _ = stop.changed() => return Ok(()),
                () = self.send.closed() => return Ok(()),
                () = tokio::time::sleep(silence) => {
                    if !self.form.is_plain {
                        self.send.send(Ok(Bytes::from_static(b": nothing has changed\n\n"))).await?;
                    }
                }
            }
        }
    }
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

/// How lines are told.
struct Form {
    is_plain: bool,
    colour: Option<String>,
    /// The last line, as an event: its id is told with it once it is known to be the last of its position.
    last: Option<(u64, Vec<u8>)>,
}

impl Form {
    /// Tells lines. At the end of what has been told so far positions are whole.
    fn tell(&mut self, lines: &[u8], is_end: bool) -> Vec<u8> {
        let mut told = Vec::new();
        for bytes in lines.split_inclusive(|&byte| byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Line>(bytes) else { continue };
            self.pass_on(Some(line.position), &mut told);
            let is_asked = self.colour.as_deref().is_none_or(|colour| line.after.as_deref() == Some(colour));
            let event = match (is_asked, self.is_plain) {
                (false, _) => Vec::new(),
                (true, true) => bytes.to_vec(),
                (true, false) => [b"data: ", bytes.trim_ascii_end(), b"\n"].concat(),
            };
            self.last = Some((line.position, event));
        }
        if is_end {
            self.pass_on(None, &mut told);
        }
        told
    }

    /// Tells the last line, now that the position of the next one is known.
    fn pass_on(&mut self, next: Option<u64>, told: &mut Vec<u8>) {
        let Some((position, event)) = self.last.take() else { return };
        told.extend_from_slice(&event);
        let is_last = next != Some(position);
        if !self.is_plain && (is_last || !event.is_empty()) {
            if is_last {
                told.extend_from_slice(format!("id: {position}\n").as_bytes());
            }
            told.push(b'\n');
        }
    }
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
