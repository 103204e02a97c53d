//! Writes lines to a file descriptor without blocking on its reader.
//!
//! Standard error may be a pipe to a logger that hangs. A write to a full pipe would block this thread and
//! every other thread that logs; so the descriptor is polled before each line.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::json::Object;
use super::record::{Event, Record as _};
use crate::util::utc;

/// Bytes that a writable pipe takes without blocking: `PIPE_BUF`, pipe(7).
const PIPE_BUF: usize = 4_096;

/// A line is written together with the line about lost ones before it.
const _: () = assert!(super::MAX_LINE + 500 < PIPE_BUF);

/// How long a line waits for room, if the line before it found some.
const TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Writes lines while there is room, and counts those that are lost.
pub(super) struct NonblockingWriter<W> {
    out: W,
    /// Whether the last wait was in vain; then no line waits again before there is room.
    full: bool,
    lost: u64,
    /// Lines are JSON.
    is_json: bool,
}

impl<W: Write + AsFd> NonblockingWriter<W> {
    pub(super) fn new(out: W, is_json: bool) -> NonblockingWriter<W> {
        NonblockingWriter { out, full: false, lost: 0, is_json }
    }

    /// Writes `line`, after a line about lost ones if there are any; or loses it.
    pub(super) fn write(&mut self, line: &str, now: i64) {
        self.full = !self.is_writable();
        let written = !self.full
            && match self.lost {
                0 => self.out.write_all(line.as_bytes()),
                lost => self.out.write_all((self.lost_lines(lost, now) + line).as_bytes()),
            }
            .is_ok();
        self.lost = if written { 0 } else { self.lost.saturating_add(1) };
    }

    /// The line about `lost` lines.
    fn lost_lines(&self, lost: u64, now: i64) -> String {
        let time = utc::format(now);
        let (lines, were) = if lost == 1 { ("line", "was") } else { ("lines", "were") };
        let text =
            format!("{lost} {lines} before this one {were} lost: standard error took no more");
        if self.is_json {
            let mut object = Object::new(&time, "warning");
            Event::of(text).write_fields(&mut object);
            return object.finish();
        }
        format!("{time} warning {text}\n")
    }

    fn is_writable(&self) -> bool {
        let timeout = if self.full { NO_WAIT } else { TIMEOUT };
        loop {
            match poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], Some(&timeout)) {
                Err(Errno::INTR) => {}
                // A closed descriptor is reported by the write.
                found => return found.is_ok_and(|ready| ready > 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::time::{Duration, Instant};

    use super::NonblockingWriter;

    #[test]
    fn a_full_pipe_costs_lines_and_one_short_wait() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut log = NonblockingWriter::new(writer, false);
        let line = "x".repeat(2_000) + "\n";
        let start = Instant::now();
        for _ in 0..1_000 {
            log.write(&line, 0);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "waited for every line");
        let held = 1_000 - usize::try_from(log.lost).unwrap();
        assert!(log.full && held >= 16, "{held} lines were written");

        let mut read = vec![0; held * line.len()];
        reader.read_exact(&mut read).unwrap();
        assert!(read.chunks(line.len()).all(|found| found == line.as_bytes()));
        log.write("first\n", 0);
        log.write("second\n", 0);
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let lost = 1_000 - held;
        let told = format!(
            "1970-01-01T00:00:00Z warning {lost} lines before this one were lost: standard error took no more\n"
        );
        assert_eq!(rest, told + "first\nsecond\n");
    }

    #[test]
    fn a_pipe_that_nobody_will_read_again_loses_lines_and_does_not_wait() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut log = NonblockingWriter::new(writer, false);
        drop(reader);
        (0..3).for_each(|_| log.write("x\n", 0));
        assert_eq!((log.lost, log.full), (3, false));
    }

    #[test]
    fn lost_lines_are_told_as_json_where_the_log_is() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut log = NonblockingWriter::new(writer, true);
        log.lost = 1;
        log.write("{}\n", 0);
        drop(log);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        let told = r#"{"time":"1970-01-01T00:00:00Z","level":"warning","message":"1 line before this one was lost: standard error took no more"}"#;
        assert_eq!(read, format!("{told}\n{{}}\n"));
    }

    #[test]
    fn a_file_takes_every_line() {
        let scratch = crate::store::Scratch::new();
        let path = scratch.0.join("log");
        let mut log = NonblockingWriter::new(std::fs::File::create(&path).unwrap(), false);
        (0..10_000).for_each(|_| log.write("x\n", 0));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "x\n".repeat(10_000));
    }
}
