//! Why a request failed: the authority's own words (RFC 8555 section 6.7), and what to do.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// Most characters of a text that someone else wrote.
const LONGEST: usize = 500;

/// Most subproblems that are shown.
const MOST: usize = 10;

/// A request to the authority that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AcmeError {
    /// What failed, what the authority says about it, and what to do; holds no secret.
    pub(crate) message: String,
    /// The last part of the problem's type, as in `rateLimited`, if the authority said why.
    pub(crate) kind: Option<String>,
    /// How long the authority asks to wait, at most 7 days.
    pub(crate) retry_after: Option<Duration>,
    /// Whether it is the authority that said no (4xx), and the same request would get the same answer.
    pub(crate) refused: bool,
}

impl fmt::Display for AcmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<String> for AcmeError {
    fn from(message: String) -> AcmeError {
        AcmeError { message, kind: None, retry_after: None, refused: false }
    }
}

/// Too many requests (429, RFC 6585 section 4) pass.
pub(super) fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

impl AcmeError {
    /// `doing` completes "the certificate authority did not".
    pub(super) fn refused(
        authority: &str,
        doing: &str,
        problem: &Problem,
        retry_after: Option<Duration>,
        status: u16,
    ) -> AcmeError {
        let message = format!("{authority} did not {doing}: {problem}");
        let kind = problem.kind.clone();
        let passes = matches!(kind.as_deref(), Some("badNonce" | "rateLimited" | "serverInternal"));
        AcmeError { message, kind, retry_after, refused: is_refusal(status) && !passes }
    }
}

/// A problem document (RFC 9457) of an authority. Its texts are bounded and hold no control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The last part of the type, as in `rateLimited`, if it is one of ACME.
    pub(crate) kind: Option<String>,
    /// The whole type, as in `urn:ietf:params:acme:error:rateLimited`.
    urn: Option<String>,
    detail: Option<String>,
    /// The page that a person shall visit.
    instance: Option<String>,
    /// What it is about, and the problem with it.
    parts: Vec<(String, Problem)>,
}

impl Problem {
    /// `None` if this is no problem document.
    pub(super) fn read(value: &Value) -> Option<Problem> {
        let mut problem = Problem::one(value)?;
        if let Some(parts) = value.get("subproblems").and_then(Value::as_array) {
            problem.parts = parts
                .iter()
                .filter_map(|part| {
                    let about = part.get("identifier").and_then(|about| about.get("value"));
                    let about = about.and_then(Value::as_str).unwrap_or("one of the names");
                    Some((words(about), Problem::one(part)?))
                })
                .collect();
        }
        Some(problem)
    }

    fn one(value: &Value) -> Option<Problem> {
        let text = |name| value.get(name).and_then(Value::as_str).map(words);
        let (urn, detail) = (text("type"), text("detail").or_else(|| text("title")));
        if urn.is_none() && detail.is_none() {
            return None;
        }
        let kind = urn.as_deref().and_then(|urn| urn.strip_prefix("urn:ietf:params:acme:error:"));
        let kind = kind.map(str::to_owned);
        let instance = text("instance").filter(|url| url.starts_with("https://"));
        Some(Problem { kind, urn, detail, instance, parts: Vec::new() })
    }

    fn words(&self) -> String {
        let urn = self.urn.as_deref().unwrap_or("without a type");
        match &self.detail {
            Some(detail) => format!("\"{detail}\" ({urn})"),
            None => urn.to_owned(),
        }
    }

    /// The advice of this problem, or else of its first part that has one.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let kinds = [self].into_iter().chain(self.parts.iter().map(|(_, part)| part));
        kinds.filter_map(|problem| problem.kind.as_deref()).find_map(advice)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        for (about, part) in self.parts.iter().take(MOST) {
            write!(f, "; for {about}: {}", part.words())?;
        }
        if self.parts.len() > MOST {
            write!(f, "; and {} more", self.parts.len() - MOST)?;
        }
        if let Some(page) = &self.instance {
            write!(f, "; see {page}")?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// What an administrator can do about a problem of this kind (RFC 8555 section 6.7).
fn advice(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "accountDoesNotExist" => "a new account is made with the next attempt",
        "badCSR" => "try another \"key_type\"",
        "badNonce" => {
            "something on the way, as a proxy with a cache, may repeat the authority's old answers"
        }
        "badPublicKey" | "badSignatureAlgorithm" => {
            "this authority does not take the appliance's account key (ECDSA P-256, ES256)"
        }
        "caa" => "allow this authority in the CAA records of the name, or use another authority",
        "connection" => {
            "make sure that the authority reaches the appliance by this name: on port 80 for http-01, on \
             port 443 for tls-alpn-01"
        }
        "dns" => {
            "make sure that the authority can look the name up, and that it leads to the appliance"
        }
        "externalAccountRequired" => {
            "send \"external_account\" with the \"kid\" and \"hmac_key\" that this authority gives out"
        }
        "incorrectResponse" => {
            "another server answers in place of the appliance: check where the name leads, and what \
             forwards to the appliance"
        }
        "invalidContact" | "unsupportedContact" => "correct \"contact\"",
        "rateLimited" => "wait: more attempts make it last longer",
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "correct \"names\"; a public authority takes only names of the public DNS"
        }
        "serverInternal" => "the fault is the authority's; the appliance tries again",
        "tls" => {
            "make sure that port 443 of the name leads to the appliance and nothing ends TLS before it"
        }
        "unauthorized" => {
            "check that the name leads to this appliance, and \"external_account\" if there is one"
        }
        "userActionRequired" => "do what this authority asks of the account's holder",
        _ => return None,
    })
}

/// Makes a text of someone else fit for a message: one line, bounded, without characters that are not seen or
/// that turn the direction of writing.
pub(super) fn words(text: &str) -> String {
    let seen = |c: char| match c {
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut words = String::new();
    for (at, c) in text.chars().map(seen).enumerate() {
        if at == LONGEST {
            words.push('\u{2026}');
            break;
        }
        if c != ' ' || !words.ends_with(' ') {
            words.push(c);
        }
    }
    words.trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{LONGEST, Problem, words};

    #[test]
    fn a_problem_is_told_with_its_parts_and_what_to_do() {
        let problem = Problem::read(&json!({
            "type": "urn:ietf:params:acme:error:compound",
            "detail": "Errors during validation",
            "subproblems": [
                {
                    "type": "urn:ietf:params:acme:error:caa",
                    "detail": "CAA forbids",
                    "identifier": {"type": "dns", "value": "a.example"},
                },
                {"type": "urn:ietf:params:acme:error:dns", "detail": "NXDOMAIN"},
                {},
            ],
        }))
        .unwrap();
        assert_eq!(problem.kind.as_deref(), Some("compound"));
        assert_eq!(
            problem.to_string(),
            "\"Errors during validation\" (urn:ietf:params:acme:error:compound); \
             for a.example: \"CAA forbids\" (urn:ietf:params:acme:error:caa); \
             for one of the names: \"NXDOMAIN\" (urn:ietf:params:acme:error:dns); \
             allow this authority in the CAA records of the name, or use another authority"
        );
    }

    #[test]
    fn what_is_no_problem_document_is_none() {
        for value in [json!(null), json!([]), json!({}), json!({"type": 7, "status": 400})] {
            assert_eq!(Problem::read(&value), None, "{value}");
        }
        let other = Problem::read(&json!({"type": "about:blank", "title": "Not found"})).unwrap();
        assert_eq!(
            (other.kind.as_deref(), other.to_string().as_str()),
            (None, "\"Not found\" (about:blank)")
        );
    }

    #[test]
    fn texts_of_others_are_one_bounded_line() {
        assert_eq!(words("a\r\n\tb\u{1b}[31m\u{202e}c\u{0}"), "a b [31m c");
        assert_eq!(words(&"x".repeat(100_000)).chars().count(), LONGEST + 1);
        let many: Vec<_> =
            (0..500).map(|at| json!({"type": "t", "detail": at.to_string()})).collect();
        let problem = Problem::read(&json!({"type": "t", "subproblems": many})).unwrap();
        assert!(problem.to_string().ends_with("; and 490 more"), "{problem}");
    }

    #[test]
    fn a_page_that_a_person_shall_visit_is_named_if_it_is_secure() {
        let visit = |page: &str| {
            let kind = "urn:ietf:params:acme:error:userActionRequired";
            Problem::read(&json!({"type": kind, "instance": page})).unwrap().to_string()
        };
        assert!(visit("https://ca.example/tos").contains("; see https://ca.example/tos; do what"));
        assert!(!visit("javascript:alert(1)").contains("see"));
    }
}
