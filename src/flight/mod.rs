//! Arrow Flight SQL: the door of analysts' own tools.
//!
//! The one idea: this is a thin door to a [`Desk`]. It knows the protocol, and nothing of facts.
//!
//! Invariants: where nobody is asked who they are, no address but the machine's own is listened on; where there is a certificate, no
//! line is in plain text.
//!
//! Cost: two threads for the lines.

mod client;
mod metadata;
mod service;
mod token;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::access::{self, Listening};
use crate::desk::{Certified, Desk, DoorError, Kind, Refusal};

pub use client::{Remote, RemoteError};

/// Where questions are taken if nothing is said of it.
pub const ADDRESS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8621);

/// A door that is open.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    line: Runtime,
    done: oneshot::Receiver<()>,
}

impl Door {
    /// Listens, with TLS if there is a certificate.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn open(address: SocketAddr, certified: Option<&Certified>, desk: &Arc<Desk>) -> Result<Self, DoorError> {
        let Listening { address, listener, runtime: line } = desk.access().listen(address)?;
        let mut server = tonic::transport::Server::builder();
        if let Some(Certified { certificate, key }) = certified {
            let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            let wrong = |error| DoorError::Certificate { why: causes(&error) };
            server = server.tls_config(tls).map_err(wrong)?;
        }
        let desk = Arc::clone(desk);
        let service = FlightServiceServer::with_interceptor(service::Service::new(Arc::clone(&desk)), move |request| {
            token::admit(&desk, request)
        });
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let ((stop, stopped), (over, done)) = (oneshot::channel(), oneshot::channel());
        line.spawn(async move {
            let stop = async move { drop(stopped.await) };
            drop(server.add_service(service).serve_with_incoming_shutdown(incoming, stop).await);
            let _ = over.send(());
        });
        Ok(Self { address, stop: Some(stop), line, done })
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
        access::close(line, done);
    }
}

/// A refusal as the protocol has it.
impl From<Refusal> for Status {
    fn from(Refusal { kind, message }: Refusal) -> Self {
        match kind {
            Kind::Unknown => Self::unauthenticated(message),
            Kind::Forbidden => Self::permission_denied(message),
            Kind::Wrong => Self::invalid_argument(message),
            Kind::Exhausted => Self::resource_exhausted(message),
            Kind::TookLong => Self::deadline_exceeded(message),
            Kind::Cancelled => Self::cancelled(message),
            Kind::Unavailable => Self::unavailable(message),
            Kind::Failed => Self::internal(message),
        }
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
