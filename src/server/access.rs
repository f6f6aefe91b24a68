//! Who may ask for what, and how often.
//!
//! The one idea: a caller is known by the digest of a token, and has one role; each path names the roles that it is for, so that a
//! path without any would not build.
//!
//! Invariant: where no caller is named, nobody is asked who they are, and only the machine itself is listened to.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;

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

    /// The role of who asks; an operator's where nobody is asked.
    fn admit(&self, request: &Request) -> Result<Role, Refusal> {
        let (role, pace) = if self.is_open() {
            (Role::Operator, &self.pace)
        } else {
            let given = request.headers().get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
            let token = given.and_then(|given| given.split_once(' '));
            let token =
                token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
            let known = token.and_then(|token| self.callers.get(&Digest::of(token.as_bytes())));
            let known = known.ok_or_else(|| {
                Refusal::new(StatusCode::UNAUTHORIZED, "say who you are: Authorization: Bearer TOKEN")
            })?;
            (known.role, &known.pace)
        };
        if pace.as_ref().is_some_and(|pace| pace.check().is_err()) {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many requests a second; try again"));
        }
        Ok(role)
    }
}

/// Lets those in whom a path is for; an operator always.
pub(super) async fn admit(
    State((access, roles)): State<(Arc<Access>, &'static [Role])>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.admit(&request) {
        Err(refusal) => refusal.into_response(),
        Ok(role) if role == Role::Operator || roles.contains(&role) => {
            request.extensions_mut().insert(role);
            next.run(request).await
        }
        Ok(_) => Refusal::new(StatusCode::FORBIDDEN, "this is not for your role").into_response(),
    }
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
