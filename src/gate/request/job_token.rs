//! The job token of a request for speech: where it is needed, where it stands, and its check.
//!
//! Guesses are counted with wrong passwords, per address. The check hashes with SHA-256, so it decides at once.

use std::net::IpAddr;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::basic_auth::{Authenticator, Outcome};
use super::handler::Verdict;
use super::parse::ParsedRequest;
use super::policy::Area;
use super::response::LocalResponse;
use crate::gate::Gate;
use crate::gate::proxy::exchange::Authorized;
use crate::http::lenient;
use crate::metrics::LoginFailure;
use crate::security::JobToken;
use crate::util::client_prefix::client_prefix;

/// Asks for a token (RFC 6750 section 3).
const CHALLENGE: &str = "Bearer realm=\"appliance\"";

/// The challenge to a token that was refused (RFC 6750 section 3.1).
const INVALID: &str = "Bearer realm=\"appliance\", error=\"invalid_token\"";

/// The parameter in which a browser sends the token of a WebSocket, for which it can set no fields.
const PARAMETER: &[u8] = b"jwt";

/// True if a request for which the policy requires nothing else needs the job token. A damaged file counts as one that
/// nothing matches.
pub(crate) fn is_needed(area: Area, token: &JobToken) -> bool {
    matches!(area, Area::SpeechV1 | Area::Jobs | Area::Realtime) && *token != JobToken::Unset
}

/// The query without any parameter that a service could read as the token.
pub(crate) fn without_token(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_parameter(pair)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn is_parameter(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    lenient::decoded(name).trim_ascii().eq_ignore_ascii_case(PARAMETER)
}

/// The token of `Authorization: Bearer`; `None` for another scheme.
fn of_field(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii().to_vec())
}

/// The token of the query, if there is exactly one.
fn of_query(query: &str) -> Option<Vec<u8>> {
    let mut tokens = query.split('&').filter(|pair| is_parameter(pair));
    match (tokens.next()?.split_once('='), tokens.next()) {
        // No token has a `%` or a space, so a `+` stands for itself however it was written.
        (Some((_, value)), None) => Some(lenient::decoded(value)),
        _ => None,
    }
}

/// What stands where the token belongs: in the field, otherwise in the query of a WebSocket. Browsers add the Basic
/// credentials that they remember for the management page.
fn presented(request: &ParsedRequest) -> Option<Vec<u8>> {
    match request.login().and_then(of_field) {
        None if request.area() == Area::Realtime => of_query(request.target.query.as_deref()?),
        token => token,
    }
}

impl Authenticator {
    /// Checks a token from `peer`.
    fn check_token(
        &self,
        token: Option<&[u8]>,
        expected: &JobToken,
        peer: IpAddr,
        now: Instant,
    ) -> Outcome {
        let Some(token) = token else { return Outcome::Rejected };
        let source = client_prefix(peer);
        if let Some(seconds) = self.failed_logins.retry_after(source, now) {
            return Outcome::RateLimited(seconds);
        }
        if expected.matches(token) {
            return Outcome::Accepted { first: false };
        }
        // As long as the digest of credentials before its first part that a client chooses, so the two never meet.
        let digest = Sha256::new().chain_update(self.key).chain_update([2; 32]);
        self.failed_logins.record(source, &digest.chain_update(token).finalize().into(), now);
        Outcome::Rejected
    }
}

impl Gate {
    /// The verdict on a request for speech that needs the job token.
    pub(super) fn decide_by_token(
        &self,
        request: &ParsedRequest,
        expected: &JobToken,
        peer: IpAddr,
    ) -> Verdict {
        let token = presented(request);
        let outcome =
            self.authenticator.check_token(token.as_deref(), expected, peer, Instant::now());
        match outcome {
            Outcome::RateLimited(_) => self.metrics.failed_login(LoginFailure::RateLimited),
            Outcome::Rejected if token.is_some() => {
                self.metrics.failed_login(LoginFailure::WrongToken);
            }
            _ => {}
        }
        Verdict::Respond(match outcome {
            Outcome::Accepted { .. } => {
                return self.decide_authorized(request, Authorized::ByJobToken);
            }
            Outcome::RateLimited(seconds) => {
                let reason = "too many wrong job tokens from this address, wait before the next";
                LocalResponse::error(Some(request.area()), 429, reason)
                    .with("Retry-After", seconds.to_string())
            }
            Outcome::Rejected | Outcome::Busy if token.is_none() => {
                unauthorized("a job token is required: send Authorization: Bearer TOKEN")
                    .with("WWW-Authenticate", CHALLENGE)
            }
            Outcome::Rejected | Outcome::Busy => {
                self.log.security_from(peer, "wrong job token");
                unauthorized("the job token is wrong").with("WWW-Authenticate", INVALID)
            }
        })
    }
}

/// The 401 of the batch API, with the members that clients of its version 1 read.
fn unauthorized(detail: &str) -> LocalResponse {
    LocalResponse::json(
        401,
        format!(
            "{{\"code\": 401, \"error\": \"Permission Denied\", \"detail\": \"{detail}\", \"status\": 401, \
             \"title\": \"Unauthorized\", \"type\": \"about:blank\"}}\n"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{is_needed, of_field, of_query, without_token};
    use crate::gate::request::policy::Area;
    use crate::security::JobToken;

    #[test]
    fn speech_alone_needs_the_token_and_only_if_one_is_set() {
        use Area::*;
        for area in [SpeechV1, Jobs, Realtime] {
            assert!(is_needed(area, &JobToken::Locked) && !is_needed(area, &JobToken::Unset));
        }
        for area in [ManagementV1, ManagementV2, Page, Monitoring, CustomAdmin, CustomOpen, Unknown]
        {
            assert!(!is_needed(area, &JobToken::Locked), "{area:?}");
        }
    }

    #[test]
    fn a_token_is_read_from_a_bearer_field_alone() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bEARER  a=", Some("a=")),
            ("Bearer ", Some("")),
            ("Bearer a, Bearer b", Some("a, Bearer b")),
            ("Bearer", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(of_field(value.as_bytes()).as_deref(), token.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn a_token_is_read_from_the_query_if_there_is_exactly_one() {
        for (query, token, rest) in [
            ("jwt=abc", Some("abc"), None),
            ("sm-sdk=js&jwt=a%2Bb%3D&x=1", Some("a+b="), Some("sm-sdk=js&x=1")),
            ("jwt=a+b/", Some("a+b/"), None),
            ("%6awt=abc", Some("abc"), None),
            ("jwt=a&jwt=a", None, None),
            ("jwt=a&JWT=b&x", None, Some("x")),
            ("jwt", None, None),
            ("jwt=", Some(""), None),
            ("ajwt=b&jwtx=c", None, Some("ajwt=b&jwtx=c")),
            ("", None, Some("")),
        ] {
            assert_eq!(of_query(query).as_deref(), token.map(str::as_bytes), "{query}");
            assert_eq!(without_token(query).as_deref(), rest, "{query}");
        }
    }
}
