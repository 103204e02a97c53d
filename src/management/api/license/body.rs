//! What bodies of license calls have in common.

use crate::license::{ApiError, Applicant, normalize_code};
use crate::management::api::body::{Body, Fault};
use crate::management::api::request::{BodyError, Request};

/// Largest body in bytes: a certificate has a few thousand characters.
const LARGEST: usize = 64 << 10;

/// The members that [`applicant`] takes, and the license code.
pub(super) const ACTIVATION: [&str; 4] = ["license", "username", "email_address", "company_name"];

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> ApiError {
        let (what, hint) = match fault {
            Fault::Unread(BodyError::TooLarge) => {
                ("the body is larger than 64 KiB".to_owned(), "send at most 64 KiB".to_owned())
            }
            Fault::Unread(BodyError::CutOff) => {
                ("the body ended early".to_owned(), "send it again".to_owned())
            }
            Fault::Invalid { what, example } => (what, format!("send {example}")),
        };
        ApiError::input("bad_request", what, hint)
    }
}

/// Reads a body of at most 64 KiB without members besides those `known`.
pub(super) fn read(
    request: &mut Request,
    known: &[&str],
    example: &'static str,
) -> Result<Body, Fault> {
    let body = Body::read(request, known, example)?;
    if body.length > LARGEST { Err(BodyError::TooLarge.into()) } else { Ok(body) }
}

/// The license code: required, in any grouping.
pub(super) fn code(body: &mut Body) -> Result<String, Fault> {
    let code = normalize_code(&body.optional_string("license")?.unwrap_or_default());
    if code.is_empty() {
        return Err(body.wrong("\"license\" is missing"));
    }
    if code.len() > 64 || code.chars().any(char::is_control) {
        return Err(body.wrong("\"license\" is no license code"));
    }
    Ok(code)
}

/// The optional details of the applicant.
pub(super) fn applicant(body: &mut Body) -> Result<Applicant, Fault> {
    Ok(Applicant {
        username: detail(body, "username")?,
        email_address: detail(body, "email_address")?,
        company_name: detail(body, "company_name")?,
    })
}

fn detail(body: &mut Body, name: &str) -> Result<String, Fault> {
    let text = body.optional_string(name)?.unwrap_or_default();
    if text.len() > 256 || text.chars().any(char::is_control) {
        let what = format!("{name:?} is longer than 256 bytes or holds a control character");
        return Err(body.wrong(what));
    }
    Ok(text)
}
