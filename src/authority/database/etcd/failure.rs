//! Why etcd did not do what it was asked, whether it may have done it nevertheless, and what to do.
//!
//! etcd's own words are repeated only where they can hold no key: keys are license codes.

use std::io;

use serde_json::Value;
use ureq::{Error, Timeout};

/// What a failed request leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was done; another member may do it.
    NotSent,
    /// Nothing was done; in a moment it may be, as when the cluster elects a leader.
    NotNow,
    /// It may have been done, or be done later.
    Unknown,
    /// Nothing was done: the token is not valid any more.
    Token,
    /// The revision is not there: compacted, or not yet at this member.
    Revision,
    /// Nothing was done, and nothing will be.
    Refused,
}

/// A request without a usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// What is wrong and what to do; holds no key and no secret.
    pub(super) what: String,
}

/// Words of etcd (`rpctypes/error.go`), what they leave behind, and ours where they don't tell what to do.
///
/// `raft proposal dropped` and `too many requests` are said before a change is proposed; `no leader` before
/// the request is looked at. After `leader changed` and everything that is not here, it is open.
#[rustfmt::skip]
const ANSWERS: &[(&str, Kind, &str)] = &[
    ("invalid auth token", Kind::Token, "etcd does not accept its own token"),
    ("revision of auth store is old", Kind::Token, "etcd's users are being changed"),
    ("raft proposal dropped", Kind::NotNow, "the cluster has no leader: more than half of its members must run"),
    ("no leader", Kind::NotNow, "the cluster has no leader: more than half of its members must run"),
    ("too many requests", Kind::NotNow, "etcd is overloaded"),
    ("required revision has been compacted", Kind::Revision, "it was compacted meanwhile"),
    ("required revision is a future revision", Kind::Revision, "this member is behind the others"),
    ("database space exceeded", Kind::Refused, "etcd's quota of space is used up (alarm NOSPACE): compact and defragment it, then run `etcdctl alarm disarm`"),
    ("corrupt cluster", Kind::Refused, "a member's data differ from the others' (alarm CORRUPT): restore that member"),
    ("user name is empty", Kind::Refused, "etcd wants a user: set --etcd-user and --etcd-password-file"),
    ("invalid user ID or password", Kind::Refused, "etcd refused the name or the password of --etcd-user"),
    ("permission denied", Kind::Refused, "the user of etcd may not read and write all keys that begin with --etcd-prefix: grant a role with that prefix"),
    ("CommonName of client", Kind::Refused, "a cluster with users accepts only a certificate without a common name here, or none: make one for --etcd-cert with a subject such as `/O=vendor`"),
    ("authentication is not enabled", Kind::Refused, "etcd has no users: leave --etcd-user out, or run `etcdctl auth enable`"),
    ("request is too large", Kind::Refused, "the step is larger than etcd takes: set its --max-request-bytes to 1572864 or more"),
    ("too many operations", Kind::Refused, "the step has more operations than etcd takes: set its --max-txn-ops to 128 or more"),
];

impl Failure {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Failure {
        Failure { kind, what: what.into() }
    }

    /// For an answer with a status other than 200.
    pub(super) fn of_answer(status: u16, body: &[u8]) -> Failure {
        let parsed = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let said = ["message", "error"].iter().find_map(|name| parsed[name].as_str());
        let text = std::str::from_utf8(body).unwrap_or_default();
        let known = |said: &str| ANSWERS.iter().find(|(words, ..)| said.contains(words));
        if let Some((_, kind, what)) = known(said.unwrap_or(text)) {
            return Failure::new(*kind, *what);
        }
        let Some(said) = said else {
            // As a TLS port answers plain HTTP, or another server a path that it does not know.
            let kind = if status < 500 { Kind::NotSent } else { Kind::Unknown };
            let what = format!("it does not answer as etcd does (status {status}): check the URL");
            return Failure::new(kind, what);
        };
        Failure::new(Kind::Unknown, words(said))
    }

    /// For a request without an answer.
    ///
    /// Errors of the kinds that connecting gives can't come from a connection that stands: the kernel reports
    /// those only after minutes without an acknowledgement, and a request has seconds.
    pub(super) fn of_transport(error: &Error) -> Failure {
        if let Some(error) = tls_error(error) {
            let (kind, what, check) = match error {
                rustls::Error::InvalidCertificate(_) => {
                    (Kind::NotSent, "its certificate is not valid", "--etcd-ca and the URL")
                }
                rustls::Error::AlertReceived(_) => (
                    Kind::NotSent,
                    "it does not accept our certificate, or that we have none",
                    "--etcd-cert",
                ),
                _ => (Kind::Unknown, "it does not speak TLS as expected", "the URL"),
            };
            return Failure::new(kind, format!("{what} ({error}): check {check}"));
        }
        let (kind, what) = match error {
            Error::HostNotFound => (Kind::NotSent, "its name can't be resolved".to_owned()),
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                (Kind::NotSent, "it can't be reached in time".to_owned())
            }
            Error::Timeout(_) => (Kind::Unknown, "it did not answer in time".to_owned()),
            Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable => (Kind::NotSent, error.to_string()),
                io::ErrorKind::UnexpectedEof => {
                    (Kind::Unknown, "it closed the connection".to_owned())
                }
                _ => (Kind::Unknown, error.to_string()),
            },
            Error::BodyExceedsLimit(_) => (Kind::Unknown, "its answer is too large".to_owned()),
            _ => (Kind::Unknown, "it does not speak HTTP as etcd does".to_owned()),
        };
        Failure::new(kind, what)
    }
}

/// What etcd said, if it is made of plain words; every key has digits.
fn words(said: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || " ,:;'()-".contains(c);
    if said.len() <= 200 && said.chars().all(plain) {
        format!("it says `{said}`")
    } else {
        "it reports an error that may hold a license code, and is not repeated".to_owned()
    }
}

/// A failed handshake arrives as an I/O error that holds rustls' own.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use ureq::{Error, Timeout};

    use super::{ANSWERS, Failure, Kind};

    fn kind(said: &str) -> Kind {
        let body = serde_json::json!({"error": said, "message": said, "code": 2}).to_string();
        Failure::of_answer(500, body.as_bytes()).kind
    }

    #[test]
    fn only_what_was_certainly_not_done_is_called_so() {
        assert_eq!(kind("etcdserver: invalid auth token"), Kind::Token);
        assert_eq!(kind("raft proposal dropped"), Kind::NotNow);
        assert_eq!(kind("etcdserver: mvcc: database space exceeded"), Kind::Refused);
        for open in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "etcdserver: server stopped",
            "transport is closing",
        ] {
            assert_eq!(kind(open), Kind::Unknown, "{open}");
        }
        let refused = Error::Io(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(Failure::of_transport(&refused).kind, Kind::NotSent);
        assert_eq!(Failure::of_transport(&Error::Timeout(Timeout::Connect)).kind, Kind::NotSent);
        for open in [
            Error::Io(io::ErrorKind::ConnectionReset.into()),
            Error::Io(io::ErrorKind::BrokenPipe.into()),
            Error::Timeout(Timeout::Global),
        ] {
            assert_eq!(Failure::of_transport(&open).kind, Kind::Unknown, "{open}");
        }
    }

    #[test]
    fn other_servers_are_told_from_etcd() {
        let failure = Failure::of_answer(404, b"404 page not found");
        assert!(failure.what.contains("(status 404): check the URL"), "{failure:?}");
        assert_eq!(Failure::of_answer(502, b"<html>").kind, Kind::Unknown);
    }

    #[test]
    fn no_word_of_etcd_carries_a_key() {
        for said in ["key license/933/494953679762904933 is odd", "bad a2V5Cg==", &"x".repeat(300)]
        {
            let body = serde_json::json!({"error": said}).to_string();
            let failure = Failure::of_answer(400, body.as_bytes());
            assert!(failure.what.ends_with("and is not repeated"), "{failure:?}");
        }
        let body = br#"{"error":"etcdserver: leader changed"}"#;
        assert_eq!(Failure::of_answer(503, body).what, "it says `etcdserver: leader changed`");
        assert!(ANSWERS.iter().all(|(words, _, what)| !words.is_empty() && !what.ends_with('.')));
    }
}
