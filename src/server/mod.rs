//! HTTP for a run: facts in, changes and codes out.
//!
//! The one idea: this is a thin door. What is sent is decoded here and handed to the run's one writer through a bounded channel;
//! what stands is read from a view, which the writer only has to hand out; whoever follows the changes reads the file of changes,
//! at their own speed, so that nobody can make the engine wait or swell.
//!
//! Invariants: an answer that says a position is given when that position is on the disk and its changes are told; nothing here
//! changes a fact; where nobody is asked who they are, no address but the machine's own is listened on.
//!
//! Cost: two threads, tokio's; nothing else in the engine is asynchronous.

mod answer;
mod changes;
mod client;
mod codes;
mod door;
mod explain;
mod facts;
mod form;
mod metrics;
mod rules;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Router, middleware};
use rayon::ThreadPool;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore, oneshot, watch};
use tokio::time::Instant;

use crate::access::{self, Access, ListenError, Listening, Role};
use crate::limits::{REQUEST_BYTES_MAX, SUBSCRIBERS_MAX};
use crate::link::Link;

use answer::Refusal;
pub use client::{Remote, RemoteError};

/// Where a run listens if nothing is said of it.
pub const ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8620);

/// What a server is told of its run.
#[derive(Debug)]
pub struct Setting {
    /// Who may call.
    pub access: Arc<Access>,
    /// The run.
    pub link: Arc<Link>,
    /// The file of changes, if they are told in one.
    pub changes: Option<PathBuf>,
    /// The file of refused messages.
    pub rejections: PathBuf,
    /// Whether feeds move time.
    pub ticks: bool,
    /// Whether changes of reasons alone are changes.
    pub reasons: bool,
    /// Where what is asked of everybody is worked out.
    pub pool: Arc<ThreadPool>,
}

/// What handlers share.
#[derive(Debug)]
struct Shared {
    /// The file of changes, if they are told in one.
    changes: Option<PathBuf>,
    /// The file of refused messages.
    rejections: PathBuf,
    /// Whether feeds move time.
    ticks: bool,
    /// Whether changes of reasons alone are changes.
    reasons: bool,
    pool: Arc<ThreadPool>,
    /// The turn of those who want to know what rules would change.
    looks: Mutex<()>,
    link: Arc<Link>,
    stop: watch::Receiver<bool>,
    subscribers: Semaphore,
    /// Answers by the hundreds of their status.
    answers: [AtomicU64; 6],
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    done: oneshot::Receiver<()>,
}

impl Server {
    /// Listens. Until the link is ready everything but `/healthz` is refused.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(address: SocketAddr, setting: Setting) -> Result<Self, ListenError> {
        let Setting { access, link, changes, rejections, ticks, reasons, pool } = setting;
        let Listening { address, listener, runtime } = access.listen(address)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            changes,
            rejections,
            ticks,
            reasons,
            pool,
            looks: Mutex::default(),
            link,
            stop: stopped.clone(),
            subscribers: Semaphore::new(SUBSCRIBERS_MAX),
            answers: std::array::from_fn(|_| AtomicU64::new(0)),
        });
        let (over, done) = oneshot::channel();
        let router = router(shared, &access);
        runtime.spawn(async move {
            let mut stopped = stopped;
            let stop = async move { drop(stopped.wait_for(|&stop| stop).await) };
            drop(axum::serve(listener, router).with_graceful_shutdown(stop).await);
            let _ = over.send(());
        });
        Ok(Self { address, stop, runtime, done })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets answers under way end, and everybody who follows the changes.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        access::close(self.runtime, self.done);
    }
}

/// Refuses what a page in somebody's browser asks: it comes from this machine, and not from who works there.
async fn refuse_pages(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if headers.contains_key(header::ORIGIN) || !is_own(host) {
        let why = "no pages of other hosts: ask for an address of this machine, and without an Origin";
        return Refusal::new(StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

/// Whether a host, with a port or without, is this machine by its own address.
fn is_own(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Counts an answer, and tells of it in the log: by the kind of path that was asked for, as a path may name a person.
async fn note(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    shared.answers[usize::from(status / 100).min(5)].fetch_add(1, Ordering::Relaxed);
    let millis = begun.elapsed().as_secs_f64() * 1e3;
    tracing::debug!(%method, path, status, millis, "answered");
    response
}

fn router(shared: Arc<Shared>, access: &Arc<Access>) -> Router {
    let is_open = access.is_open();
    // Whom a path is for, besides operators.
    let of = |roles: &'static [Role], methods: MethodRouter<Arc<Shared>>| {
        methods.route_layer(middleware::from_fn_with_state((Arc::clone(access), roles), door::admit))
    };
    let (sender, reader, follower) = (&[Role::Feed], &[Role::App, Role::Official], &[Role::App]);
    let all = &[Role::App, Role::Feed, Role::Official];
    let anybody = &[Role::Analyst, Role::App, Role::Feed, Role::Official];
    let router = Router::new()
        .route("/v1/messages", of(sender, post(facts::messages)))
        .route("/v1/facts/{table}", of(sender, post(facts::rows)))
        .route("/v1/tick", of(sender, post(facts::tick)))
        .route("/v1/rules", of(all, get(rules::in_force)).merge(of(&[], put(rules::enact))))
        .route("/v1/codes", of(&[], get(codes::everybody)))
        .route("/v1/codes/{person}", of(reader, get(codes::person)))
        .route("/v1/explain/{person}", of(reader, get(explain::explain)))
        .route("/v1/changes", of(follower, get(changes::follow)))
        .route("/v1/rejections", of(sender, get(changes::rejections)))
        .route("/v1/openapi.json", of(anybody, get(metrics::description)))
        .route("/metrics", of(&[], get(metrics::metrics)))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(metrics::ready))
        .fallback(|| async { Refusal::not_found("there is no such path") })
        .method_not_allowed_fallback(|| async { Refusal::not_allowed() })
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    // A page in a browser does not know a token.
    let router = if is_open { router.layer(middleware::from_fn(refuse_pages)) } else { router };
    router.layer(middleware::from_fn_with_state(Arc::clone(&shared), note)).with_state(shared)
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn only_the_machine_itself_is_asked_for() {
        assert!(
            ["127.0.0.1", "127.0.0.1:8620", "[::1]:8620", "[::1]", "localhost", "localhost:80"].into_iter().all(is_own)
        );
        assert!(
            !["", "example.org", "127.0.0.1.example.org:80", "10.0.0.1:8620", "[fe80::1]:80"].into_iter().any(is_own)
        );
    }
}
