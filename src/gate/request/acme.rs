//! Answers http-01 challenges (RFC 8555 section 8.3), by which a certificate authority checks that the
//! appliance has the name that it asks a certificate for.
//!
//! The authority has no password and asks over plain HTTP alone. So what it asks for is answered whatever the
//! password is, and while plain HTTP is disabled; it is public, and was made for this request. Every other
//! request is judged as if there were no challenge.

use super::response::LocalResponse;
use crate::config::{Listen, Serves};
use crate::gate::Gate;
use crate::http::head::RequestHead;

const FOLDER: &str = "/.well-known/acme-challenge/";

impl Gate {
    /// The response to a request for the token of a published challenge.
    pub(crate) fn key_authorization(
        &self,
        listen: &Listen,
        head: &RequestHead,
    ) -> Option<LocalResponse> {
        let token = token(listen, head)?;
        self.challenges.snapshot().key_authorization(token).map(LocalResponse::key_authorization)
    }
}

/// The token that a request asks for. The target is taken as it was sent, so that no other spelling, no query
/// and no absolute form will do.
fn token<'a>(listen: &Listen, head: &'a RequestHead) -> Option<&'a str> {
    let token = head.target.strip_prefix(FOLDER)?;
    let asks = matches!(head.method.as_ref(), "GET" | "HEAD");
    (asks && !listen.tls && listen.serves == Serves::All).then_some(token)
}
