//! Who is let in at a path.
//!
//! The one idea: each path names the roles that it is for, so that a path without any would not build.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::answer::Refusal;
use crate::access::{Access, Denied, Role, bearer};

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Unknown => StatusCode::UNAUTHORIZED,
            Denied::TooFast => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, denied.to_string())
    }
}

/// Lets those in whom a path is for; an operator always.
pub(super) async fn admit(
    State((access, roles)): State<(Arc<Access>, &'static [Role])>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    match access.admit(given.and_then(bearer)) {
        Err(denied) => Refusal::from(denied).into_response(),
        Ok(known) if known.role == Role::Operator || roles.contains(&known.role) => {
            request.extensions_mut().insert(known.role);
            next.run(request).await
        }
        Ok(_) => Refusal::new(StatusCode::FORBIDDEN, "this is not for your role").into_response(),
    }
}
