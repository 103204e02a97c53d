//! One-line records on standard error: operations, requests, and security events.
//!
//! A line is `<time> <level> <text>`. The level of a security event is `security`, so that
//! `grep ' security '` is the audit trail; the level of a request is `access`. Control characters are
//! escaped before a line is written, and no secret is ever passed in. The last lines are also kept in
//! memory (`recent`), always as text; what is written may be JSON instead (`json`).

mod json;
mod nonblocking_writer;
mod recent;
mod record;

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) use self::json::Object;
use self::nonblocking_writer::NonblockingWriter;
pub(crate) use self::recent::Kind;
use self::recent::Recent;
use self::record::Event;
pub(crate) use self::record::Record;
use crate::util::utc;

/// The log; cheap to clone.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    recent: Recent,
    /// What the sink gets is JSON.
    is_json: bool,
    sink: Box<dyn Fn(&str) + Send + Sync>,
}

/// Characters a line may have; the rest is cut, so that one request can't fill the disk.
const MAX_LINE: usize = 2_000;

impl Log {
    /// Writes to standard error without blocking. A line that can't be written is lost, and the next line
    /// written reports how many were.
    pub(crate) fn to_stderr() -> Log {
        Log::to_stderr_in(false)
    }

    /// The same, as JSON.
    pub(crate) fn to_stderr_as_json() -> Log {
        Log::to_stderr_in(true)
    }

    fn to_stderr_in(is_json: bool) -> Log {
        let stderr = Mutex::new(NonblockingWriter::new(std::io::stderr(), is_json));
        let sink = move |line: &str| {
            let now = utc::unix_seconds(SystemTime::now());
            stderr.lock().unwrap_or_else(PoisonError::into_inner).write(line, now);
        };
        Log::new(is_json, sink)
    }

    /// Passes every line to `sink`, for tests.
    pub(crate) fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Log {
        Log::new(false, sink)
    }

    fn new(is_json: bool, sink: impl Fn(&str) + Send + Sync + 'static) -> Log {
        Log(Arc::new(Shared { recent: Recent::default(), is_json, sink: Box::new(sink) }))
    }

    /// An event of normal operation.
    pub(crate) fn info(&self, text: impl Display) {
        self.line("info", &text);
    }

    /// A condition that the operator should look at.
    pub(crate) fn warn(&self, text: impl Display) {
        self.line("warning", &text);
    }

    /// A failure.
    pub(crate) fn error(&self, text: impl Display) {
        self.line("error", &text);
    }

    /// Authentication and changes of security settings: one line an event, never a secret.
    pub(crate) fn security(&self, text: impl Display) {
        self.line("security", &text);
    }

    /// As [`Log::security`], for what the client at `peer` has caused, if it is on the network.
    pub(crate) fn security_by(&self, peer: Option<IpAddr>, text: impl Display) {
        self.line_of(Kind::Operation, "security", &Event::by(peer, text));
    }

    /// As [`Log::security`], for what the client at `peer` has caused, and the text does not name it.
    pub(crate) fn security_from(&self, peer: IpAddr, text: impl Display) {
        self.line_of(Kind::Operation, "security", &Event::after(peer, text));
    }

    /// One request; see the gate's access log.
    pub(crate) fn access(&self, record: &impl Record) {
        self.line_of(Kind::Access, "access", record);
    }

    /// The last `count` lines of a kind that match `wanted`, the oldest first, each with its line end.
    pub(crate) fn recent(
        &self,
        kind: Kind,
        count: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        self.0.recent.last(kind, count, wanted)
    }

    /// Connections that failed before their first request. There may be many, so these lines are kept among
    /// the requests.
    pub(crate) fn connections(&self, text: impl Display) {
        self.line_of(Kind::Access, "info", &Event::of(text));
    }

    /// As [`Log::connections`], for one, of the client at `peer`.
    pub(crate) fn connection_from(&self, peer: IpAddr, text: impl Display) {
        self.line_of(Kind::Access, "info", &Event::after(peer, text));
    }

    fn line(&self, level: &str, text: &dyn Display) {
        self.line_of(Kind::Operation, level, &Event::of(text));
    }

    fn line_of(&self, kind: Kind, level: &str, record: &dyn Record) {
        let now = utc::format(utc::unix_seconds(SystemTime::now()));
        let mut line = String::with_capacity(120);
        let _ = write!(Escaped(&mut line), "{now} {level} {record}");
        line.push('\n');
        if self.0.is_json {
            let mut object = Object::new(&now, level);
            record.write_fields(&mut object);
            (self.0.sink)(&object.finish());
        } else {
            (self.0.sink)(&line);
        }
        self.0.recent.push(kind, line);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Escapes control characters, so that a line stays one line and can't be forged.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= MAX_LINE {
                return Err(fmt::Error);
            }
            if c.is_control() {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::{Log, MAX_LINE};

    fn lines() -> (Log, Arc<Mutex<Vec<String>>>) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&kept);
        (Log::to(move |line| sink.lock().unwrap().push(line.to_owned())), kept)
    }

    #[test]
    fn a_stranger_cannot_forge_a_second_line() {
        let (log, kept) = lines();
        log.info("GET /\r\n2026-01-01T00:00:00Z security admin let in\u{1b}[2K");
        let line = kept.lock().unwrap().concat();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(line.contains(r"\r\n2026") && !line.contains('\u{1b}'), "{line}");
    }

    #[test]
    fn as_json_each_line_is_one_object_and_has_an_end() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&kept);
        let log = Log::new(true, move |line| sink.lock().unwrap().push(line.to_owned()));
        let peer = "::ffff:192.0.2.7".parse().unwrap();
        log.info("a \"quoted\" text\r\n{\"level\":\"security\"}");
        log.security_by(Some(peer), "changed by it");
        log.security_by(None, "changed by another");
        log.security_from(peer, "refused");
        log.connections("\u{1}".repeat(100_000));
        let lines = kept.lock().unwrap();
        let read = |line: &String| serde_json::from_str::<Value>(line).unwrap();
        let found: Vec<Value> = lines.iter().map(read).collect();
        assert_eq!(found[0]["message"], "a \"quoted\" text\r\n{\"level\":\"security\"}");
        assert_eq!(
            (&found[1]["peer"], &found[1]["level"]),
            (&"192.0.2.7".into(), &"security".into())
        );
        assert_eq!(found[2].get("peer"), None);
        assert_eq!(
            (&found[3]["peer"], &found[3]["message"]),
            (&"192.0.2.7".into(), &"refused".into())
        );
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE && line.matches('\n').count() == 1));
        let kept = log.recent(super::Kind::Operation, usize::MAX, |_| true);
        assert!(kept[3].ends_with(" security 192.0.2.7: refused\n"), "{kept:?}");
    }

    #[test]
    fn a_line_has_an_end() {
        let (log, kept) = lines();
        log.info("x".repeat(100_000));
        assert!(kept.lock().unwrap().concat().len() <= MAX_LINE + 1);
    }
}
