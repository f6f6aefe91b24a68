//! Postgres's protocol: the door of psql, and of all the tools that speak to Postgres.
//!
//! The one idea: this is a thin door to a [`Desk`]. It knows the protocol and the words that Postgres's clients say on their own (`SET`,
//! `BEGIN`, `SHOW`), and nothing of facts. What clients ask of `pg_catalog` is answered beside the facts.
//!
//! Invariants: where nobody is asked who they are, no address but the machine's own is listened on; where there is a certificate,
//! nobody gets in on a line in plain text; a line that is gone ends what was asked on it.
//!
//! Cost: two threads for the lines.
//!
//! | file | holds |
//! |---|---|
//! | `line` | a connection: who is at its other end, what they say and what they are told |
//! | `prepared` | statements that are asked more than once, or with values |
//! | `words` | what a statement is: of facts, of the catalog, or of the connection |
//! | `rows` | answers in the protocol's forms |

mod line;
mod prepared;
mod rows;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use pgwire::api::{ClientInfo as _, NoopHandler};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::tokio::server::{negotiate_tls, process_error, process_message};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::access::{self, Listening};
use crate::desk::{Certified, Desk, DoorError, Kind, Refusal};
use crate::limits::LINES_MAX;
use line::{Line, Lines};
use prepared::{Prepared, Speaking};

/// What the protocol is called by clients that begin with TLS at once.
const ALPN: &[u8] = b"postgresql";
/// Longest time in which somebody says who they are.
const START: Duration = Duration::from_mins(1);
/// How long nobody is let in after the system had nothing left for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// A door that is open.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    line: Runtime,
    desk: Arc<Desk>,
}

impl Door {
    /// Listens, with TLS if there is a certificate.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open(address: SocketAddr, certified: Option<&Certified>, desk: &Arc<Desk>) -> Result<Self, DoorError> {
        let tls = certified.map(tls).transpose()?;
        let Listening { address, listener, runtime: line } = desk.access().listen(address)?;
        line.spawn(listen(listener, tls, Arc::clone(desk)));
        Ok(Self { address, line, desk: Arc::clone(desk) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets answers under way end.
    pub fn close(self) {
        let Self { line, desk, .. } = self;
        access::close(line, desk.idle());
    }
}

fn tls(Certified { certificate, key }: &Certified) -> Result<TlsAcceptor, DoorError> {
    let wrong = |why: String| DoorError::Certificate { why };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(error.to_string()))?;
    let config =
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| wrong(error.to_string()))?;
    // Clients may begin with TLS at once, and then say so.
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, desk: Arc<Desk>) {
    let lines = Arc::new(Lines::default());
    let places = Arc::new(Semaphore::new(LINES_MAX));
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Who comes when all places are taken is let go.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let line = Arc::new(Line::new(Arc::clone(&desk), Arc::clone(&lines), tls.is_some()));
        let tls = tls.clone();
        tokio::spawn(async move {
            let _place = place;
            let Some((socket, other)) = twice(socket) else { return };
            tokio::select! {
                // What goes wrong on a line is said there.
                _ = speak(socket, tls, &line) => {}
                () = hung_up(&other, &line) => {}
                () = late(&line) => {}
            }
        });
    }
}

/// Speaks with whoever is at the other end until they go, or are not let in.
///
/// pgwire's own loop reads on after it has let somebody go, and takes what came in plain text before TLS began for what was said within.
async fn speak(socket: TcpStream, tls: Option<TlsAcceptor>, line: &Arc<Line>) -> io::Result<()> {
    let Some(mut socket) = negotiate_tls::<Prepared>(socket, tls).await? else { return Ok(()) };
    if socket.is_secure() && !socket.read_buffer().is_empty() {
        return Ok(());
    }
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, PgWireFrontendMessage::Terminate(_)) {
            break;
        }
        let (start, simple, cancel) = (Arc::clone(line), Arc::clone(line), Arc::clone(line));
        let extended = Arc::new(Speaking(Arc::clone(line)));
        let is_extended = message.is_extended_query();
        let done = process_message(message, &mut socket, start, simple, extended, Arc::new(NoopHandler), cancel).await;
        if let Err(error) = done {
            process_error(&mut socket, error, is_extended).await?;
            if !line.is_let_in() {
                break;
            }
        }
    }
    Ok(())
}

/// Waits until whoever has not said who they are has had their time.
async fn late(line: &Line) {
    tokio::time::sleep(START).await;
    if line.is_let_in() {
        std::future::pending::<()>().await;
    }
}

/// A socket, and the same once more to see when the other side is gone: while a question is answered nobody reads from the first.
fn twice(socket: TcpStream) -> Option<(TcpStream, TcpStream)> {
    let socket = socket.into_std().ok()?;
    let other = socket.try_clone().ok()?;
    Some((TcpStream::from_std(socket).ok()?, TcpStream::from_std(other).ok()?))
}

/// Waits until the other side is gone, and somebody has been let in there: who only wants to end what another line asks says so and
/// goes, and has to be heard.
async fn hung_up(socket: &TcpStream, line: &Line) {
    while let Ok(ready) = socket.ready(Interest::READABLE).await {
        if ready.is_read_closed() || ready.is_error() {
            break;
        }
        // There is something to read, which is for the line: wait for the next that comes.
        let passed = socket.try_io(Interest::READABLE, || Err::<(), _>(std::io::ErrorKind::WouldBlock.into()));
        debug_assert!(passed.is_err());
    }
    line.let_in().await;
}

/// A refusal as the protocol has it: a code of SQLSTATE.
impl From<Refusal> for PgWireError {
    fn from(Refusal { kind, message }: Refusal) -> Self {
        let (severity, code) = match kind {
            Kind::Unknown => ("FATAL", "28P01"),
            Kind::Forbidden => ("ERROR", "42501"),
            Kind::Wrong => ("ERROR", "42601"),
            Kind::Exhausted => ("ERROR", "53000"),
            Kind::TookLong | Kind::Cancelled => ("ERROR", "57014"),
            Kind::Unavailable => ("ERROR", "57P03"),
            Kind::Failed => ("ERROR", "XX000"),
        };
        said(severity, code, message)
    }
}

/// An error of the protocol.
fn said(severity: &str, code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new(severity.to_owned(), code.to_owned(), message.into())))
}
