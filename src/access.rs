//! Who may ask, what for, and how often.
//!
//! The one idea: a caller is known by the digest of a token, and has one role; each door says which roles it is for.
//!
//! Invariant: where no caller is named, nobody is asked who they are, and only the machine itself is listened to.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Builder, Runtime};

/// What a caller is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends facts and moves time.
    Feed,
    /// Does everything.
    Operator,
    /// Reviews appeals.
    Official,
    /// Shows people their codes.
    App,
    /// Asks for groups of people.
    Analyst,
}

impl Role {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Operator => "operator",
            Self::Official => "official",
            Self::App => "app",
            Self::Analyst => "analyst",
        }
    }
}

/// SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        if digits.len() != bytes.len() || !rest.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(digits) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a SHA-256 has 64 hexadecimal digits"))
    }
}

/// Who may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// What the caller is called in settings and errors.
    pub name: String,
    /// What the caller is there for.
    pub role: Role,
    /// Digest of the caller's token.
    pub sha256: Digest,
}

/// Two callers that cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The same name.
    #[error("two callers are called {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// The same token.
    #[error("{one:?} and {other:?} have the same token")]
    Token {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
}

/// All who may call.
#[derive(Debug, Default)]
pub struct Access {
    callers: HashMap<Digest, Known>,
    /// The pace of everybody, where no caller is named.
    pace: Option<DefaultDirectRateLimiter>,
}

#[derive(Debug)]
struct Known {
    name: String,
    role: Role,
    pace: Option<DefaultDirectRateLimiter>,
}

impl Access {
    /// Lets these in, each at a pace, with twice as many requests at once; everybody if there are none.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn new(callers: Vec<Caller>, per_second: Option<NonZeroU32>) -> Result<Self, AccessError> {
        let pace = || {
            let quota = per_second.map(|pace| Quota::per_second(pace).allow_burst(pace.saturating_add(pace.get())));
            quota.map(RateLimiter::direct)
        };
        let mut access = Self { callers: HashMap::new(), pace: pace() };
        for Caller { name, role, sha256 } in callers {
            if access.callers.values().any(|known| known.name == name) {
                return Err(AccessError::Name { name });
            }
            let known = Known { name: name.clone(), role, pace: pace() };
            if let Some(other) = access.callers.insert(sha256, known) {
                return Err(AccessError::Token { one: other.name, other: name });
            }
        }
        Ok(access)
    }

    /// Whether everybody is let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.callers.is_empty()
    }

    /// Whether an address may be listened on.
    ///
    /// # Errors
    /// [`ListenError::Open`].
    pub fn check(&self, address: SocketAddr) -> Result<(), ListenError> {
        if self.is_open() && !address.ip().is_loopback() { Err(ListenError::Open { address }) } else { Ok(()) }
    }

    /// Listens, if the address may be.
    ///
    /// # Errors
    /// [`ListenError`].
    pub(crate) fn listen(&self, address: SocketAddr) -> Result<Listening, ListenError> {
        self.check(address)?;
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let listener = {
                let _inside = runtime.enter();
                tokio::net::TcpListener::from_std(listener)?
            };
            Ok(Listening { address: listener.local_addr()?, listener, runtime })
        };
        listen().map_err(|cause| ListenError::Io { address, cause })
    }

    /// Who asks with a token; an operator where nobody is asked.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit(&self, token: Option<&str>) -> Result<Admitted, Denied> {
        let (admitted, pace) = if self.is_open() {
            (Admitted { name: None, role: Role::Operator }, &self.pace)
        } else {
            let known =
                token.and_then(|token| self.callers.get(&Digest::of(token.as_bytes()))).ok_or(Denied::Unknown)?;
            (Admitted { name: Some(known.name.clone()), role: known.role }, &known.pace)
        };
        if pace.as_ref().is_some_and(|pace| pace.check().is_err()) {
            return Err(Denied::TooFast);
        }
        Ok(admitted)
    }
}

/// Longest time that answers under way have once a door closes.
const STOP: Duration = Duration::from_secs(5);

/// Closes a door: waits, for a while, until answers under way are `done`, and ends its threads.
pub(crate) fn close(line: Runtime, done: impl Future) {
    line.block_on(async { drop(tokio::time::timeout(STOP, done).await) });
    line.shutdown_timeout(Duration::from_secs(1));
}

/// A socket that is listened on, and the threads that look after its lines.
pub(crate) struct Listening {
    /// Where.
    pub(crate) address: SocketAddr,
    /// The socket.
    pub(crate) listener: tokio::net::TcpListener,
    /// Two threads.
    pub(crate) runtime: Runtime,
}

/// Why nothing can be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not the machine's own, and everybody could come from elsewhere.
    #[error(
        "{address} can be reached from elsewhere, and no caller is named: listen on 127.0.0.1 or [::1], or name callers in sanma.toml"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The system said no.
    #[error("cannot listen on {address}: {cause}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The caller's name, where callers are named.
    pub name: Option<String>,
    /// What the caller is there for.
    pub role: Role,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token, or nobody's.
    #[error("say who you are: Authorization: Bearer TOKEN")]
    Unknown,
    /// Too many requests a second.
    #[error("too many requests a second; try again")]
    TooFast,
}

/// The token in the value of an `Authorization` header.
#[must_use]
pub fn bearer(given: &str) -> Option<&str> {
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(Digest::parse(foo), Some(Digest::of(b"foo")));
        assert_eq!(Digest::parse(&foo.to_uppercase()), Some(Digest::of(b"foo")));
        assert!(
            ["", "2c", &foo[1..], &format!("{foo}00"), &foo.replace('2', "g"), &foo.replace('2', "+")]
                .iter()
                .all(|text| Digest::parse(text).is_none())
        );
    }

    #[test]
    fn callers_can_be_told_apart() {
        let caller =
            |name: &str, token: &[u8]| Caller { name: name.to_owned(), role: Role::App, sha256: Digest::of(token) };
        assert!(Access::new(vec![caller("one", b"1"), caller("other", b"2")], None).is_ok());
        assert!(Access::new(vec![caller("one", b"1"), caller("one", b"2")], None).is_err());
        assert!(Access::new(vec![caller("one", b"1"), caller("other", b"1")], None).is_err());
    }
}
