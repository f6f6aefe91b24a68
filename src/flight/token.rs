//! Who asks, as Flight's clients say it.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::{Request, Status};

use crate::access::{Admitted, bearer};
use crate::desk::Desk;

/// A token that was given, to be given back where a tool wants that.
#[derive(Clone)]
pub(super) struct Token(pub(super) String);

/// Lets a request in that says who asks: by a bearer token, or by a token as a password, as tools with a form for those do.
pub(super) fn admit(desk: &Desk, mut request: Request<()>) -> Result<Request<()>, Status> {
    let given = request.metadata().get("authorization").and_then(|given| given.to_str().ok());
    let token = given.and_then(token_in);
    request.extensions_mut().insert(desk.admit(token.as_deref())?);
    if let Some(token) = token {
        request.extensions_mut().insert(Token(token));
    }
    Ok(request)
}

/// Who asks.
pub(super) fn who<T>(request: &Request<T>) -> Result<Arc<Admitted>, Status> {
    request.extensions().get::<Arc<Admitted>>().cloned().ok_or_else(|| Status::unauthenticated("nobody asks"))
}

/// How a user and a password are written: some drivers leave the padding out.
const PAIR: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The token in an `Authorization`: a bearer's, or the password of whatever user.
fn token_in(given: &str) -> Option<String> {
    if let Some(token) = bearer(given) {
        return Some(token.to_owned());
    }
    let (scheme, pair) = given.split_once(' ')?;
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| PAIR.decode(pair.trim()).ok())??;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_a_bearers_or_as_a_password() {
        assert_eq!(token_in("Bearer  tok ").as_deref(), Some("tok"));
        assert_eq!(token_in("basic YW5hOnRvOms=").as_deref(), Some("to:k"));
        assert_eq!(token_in("Basic YW5hOnRvOms").as_deref(), Some("to:k"));
        assert!(
            ["", "tok", "Basic", "Basic ?", "Basic YW5h", "Digest tok"].iter().all(|given| token_in(given).is_none())
        );
    }
}
