//! Questions from elsewhere: Arrow Flight SQL, the door of analysts' own tools.
//!
//! The one idea: this is a thin door to [`query`](crate::query). Who asks is known by a token; the role says what is seen: an
//! operator and an official all, an analyst groups of people by their pseudonyms. Each question has a session of its own over the
//! facts that are published when it comes, and is recorded before it is looked at.
//!
//! Invariants: nothing here changes a fact; a question sees one snapshot, whatever is published meanwhile; where nobody is asked
//! who they are, no address but the machine's own is listened on.
//!
//! Cost: two threads for the line, and those of each question, which are its own.

mod client;
mod desk;
mod metadata;
mod service;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::access::{ListenError, Listening};
use crate::query::Threads;

pub use client::{Remote, RemoteError};
pub use desk::{Desk, Published, Setting};

/// Where questions are taken if nothing is said of it.
pub const ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8621);

/// Longest time that answers under way have once the door closes.
const STOP: Duration = Duration::from_secs(5);

/// A certificate, and its key: PEM.
#[derive(Clone)]
pub struct Certified {
    /// The chain of certificates.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// A door that is open.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    line: Runtime,
    done: oneshot::Receiver<()>,
    /// Where questions are looked at before they are answered.
    _plans: Threads,
}

/// Why a door does not open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key is none.
    #[error("the certificate or its key is not understood: {}", causes(.0))]
    Certificate(tonic::transport::Error),
    /// The system gives no threads.
    #[error("no threads for questions: {0}")]
    Threads(io::Error),
}

impl Door {
    /// Listens, with TLS if there is a certificate. Each question is answered on `threads` of its own.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open(
        address: SocketAddr,
        certified: Option<&Certified>,
        threads: usize,
        setting: Setting,
    ) -> Result<Self, DoorError> {
        let Listening { address, listener, runtime: line } = setting.access.listen(address)?;
        let plans = Threads::new(threads).map_err(DoorError::Threads)?;
        let mut server = tonic::transport::Server::builder();
        if let Some(Certified { certificate, key }) = certified {
            let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            server = server.tls_config(tls).map_err(DoorError::Certificate)?;
        }
        let desk = Arc::new(Desk::new(setting, threads, plans.handle().clone()));
        let service = FlightServiceServer::with_interceptor(service::Service::new(Arc::clone(&desk)), move |request| {
            desk.admit(request)
        });
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let ((stop, stopped), (over, done)) = (oneshot::channel(), oneshot::channel());
        line.spawn(async move {
            let stop = async move { drop(stopped.await) };
            drop(server.add_service(service).serve_with_incoming_shutdown(incoming, stop).await);
            let _ = over.send(());
        });
        Ok(Self { address, stop: Some(stop), line, done, _plans: plans })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets answers under way end.
    pub fn close(self) {
        let Self { stop, line, done, .. } = self;
        drop(stop);
        line.block_on(async { drop(tokio::time::timeout(STOP, done).await) });
        line.shutdown_timeout(Duration::from_secs(1));
    }
}

/// An error with all that it comes of, which tonic's own texts leave out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
