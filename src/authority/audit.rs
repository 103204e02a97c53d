//! The audit log: a line for everything that happened. Each line holds the SHA-256 of the line before, and the
//! record that it is about holds that of the newest, so a missing or changed line is noticed.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use crate::license::protocol::hex::Digest;
use crate::license::protocol::object::object;
use crate::store::Error;
use crate::util::{json, utc};

use super::database::{Database, Scope};

object! {
    /// The end of an audit log.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct AuditHead {
        /// Number of lines.
        pub(crate) lines: u64 = unsigned,
        /// SHA-256 of the newest line; that of nothing before the first.
        pub(crate) hash: Digest = digest,
    }
}

impl AuditHead {
    /// The end of a log without lines.
    pub(crate) fn none() -> AuditHead {
        AuditHead { lines: 0, hash: Digest::of(b"") }
    }

    /// The line that tells of `event`, which is the newest from then on.
    pub(crate) fn next_line(&mut self, event: &Value, now: i64) -> String {
        let mut line = json!({"time": utc::format(now)});
        for (name, value) in event.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        line["prev"] = json!(self.hash);
        let line = line.to_string();
        *self = self.with(&line);
        line
    }

    /// The end of the log with one line more.
    ///
    /// # Errors
    /// When the line does not follow from the one before.
    pub(crate) fn followed_by(&self, line: &str) -> Result<AuditHead, Error> {
        let prev = json::parse(line.as_bytes()).map(|line| line["prev"].clone());
        if prev == Ok(self.hash.to_string().into()) {
            return Ok(self.with(line));
        }
        let number = self.lines + 1;
        Err(Error::new(format!("line {number} does not follow from the one before")))
    }

    fn with(&self, line: &str) -> AuditHead {
        AuditHead { lines: self.lines + 1, hash: Digest::of(line.as_bytes()) }
    }
}

/// The number of the newest line of the log in `scope`, if none was removed or changed from `start`, after which
/// the log begins, up to `head`.
///
/// # Errors
/// Which line does not follow from the one before.
pub(crate) fn verify(
    database: &dyn Database,
    scope: Scope<'_>,
    start: &AuditHead,
    head: &AuditHead,
) -> Result<u64, Error> {
    let mut end = *start;
    if start.lines >= head.lines {
        return Ok(head.lines);
    }
    database.scan(scope, &mut |_, text| {
        end = end.followed_by(&text)?;
        // Lines may have been written since `head` was read.
        let last = end.lines >= head.lines;
        Ok(if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    if end == *head {
        return Ok(end.lines);
    }
    let what = "lines should be there, and the last that fits is line";
    Err(Error::new(format!("{} {what} {}", head.lines, end.lines)))
}
