//! A state file and its audit log, which never disagree.
//!
//! The state file holds the newest line of its log, so that replacing the state is the one commit
//! point. The line is then appended to the log; if a power cut loses it, the next process that opens the
//! log appends it again. Each line holds the SHA-256 of the line before, so a missing line is noticed.
//! The log is also the lock, because it is never replaced: `serve` and commands wait for each other there.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::{Map, Value};

use crate::license::protocol::hex::Digest;
use crate::store::{self, Error};
use crate::util::json;
use crate::util::utc;

/// Largest state file, in bytes. A license of one seat with all the request ids it may remember takes
/// about 2 MB; one with the most seats and the most activations that are possible fits into this.
const MAX_BYTES: u64 = if cfg!(test) { 1 << 20 } else { 256 << 20 };

/// The member of the state that holds the newest line.
const LINE: &str = "audit";

/// State and log under their lock.
pub(crate) struct AuditLog {
    state: PathBuf,
    log: PathBuf,
    file: File,
    /// The newest line, which the log holds.
    line: String,
}

impl AuditLog {
    /// Waits for the lock; `None` when there is no log.
    ///
    /// # Errors
    /// When the system refuses, or the state is damaged.
    pub(crate) fn open(state: &Path, log: &Path) -> Result<Option<(AuditLog, Value)>, Error> {
        let file = match options().open(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A state that lost its log must not be taken for one that never existed.
                return match read(state)? {
                    None => Ok(None),
                    Some(_) => Err(damaged(log, &"it is missing, but its state file exists")),
                };
            }
            other => other.map_err(|error| Error::system("open", log, &error))?,
        };
        let (mut this, found) = AuditLog::lock(state, log, file)?;
        let Some(found) = found else { return Ok(None) };
        this.line = found[LINE].as_str().unwrap_or_default().to_owned();
        this.append_newest().map_err(|error| Error::system("write", log, &error))?;
        Ok(Some((this, found)))
    }

    /// Makes the log if there is none; `None` when there is a state already.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn create(state: &Path, log: &Path) -> Result<Option<AuditLog>, Error> {
        let file = options().create(true).mode(0o600).open(log);
        let file = file.map_err(|error| Error::system("make", log, &error))?;
        let (this, found) = AuditLog::lock(state, log, file)?;
        if found.is_some() {
            return Ok(None);
        }
        // Lines of an attempt that was cut short describe nothing that has happened.
        this.file.set_len(0).map_err(|error| Error::system("write", log, &error))?;
        Ok(Some(this))
    }

    fn lock(state: &Path, log: &Path, file: File) -> Result<(AuditLog, Option<Value>), Error> {
        file.lock().map_err(|error| Error::system("lock", log, &error))?;
        let (state, log) = (state.to_owned(), log.to_owned());
        let found = read(&state)?;
        Ok((AuditLog { state, log, file, line: String::new() }, found))
    }

    /// Replaces the state and records `event`, durable when this returns.
    ///
    /// # Errors
    /// When the state is too large: nothing has changed. When the system refuses: the old state stands, or
    /// the new one, with its line.
    pub(crate) fn commit(
        &mut self,
        state: &Value,
        event: Map<String, Value>,
        now: i64,
    ) -> Result<(), Error> {
        let failed = |error: &io::Error| Error::system("write", &self.log, error);
        // The line before must be safe before the state that holds it goes.
        self.file.sync_data().map_err(|error| failed(&error))?;
        let mut line = Map::new();
        line.insert("time".to_owned(), utc::format(now).into());
        line.extend(event);
        line.insert("prev".to_owned(), Digest::of(self.line.as_bytes()).to_string().into());
        let line = Value::Object(line).to_string();
        let mut state = state.clone();
        state[LINE] = line.as_str().into();
        let text = format!("{state}\n");
        if text.len() as u64 > MAX_BYTES {
            // It could not be read again.
            return Err(Error::Failed(format!(
                "{} would have {} bytes, more than the limit of {MAX_BYTES}: nothing was changed; release unused \
                 seats, and create another license for further activations",
                self.state.display(),
                text.len()
            )));
        }
        store::replace(&self.state, text.as_bytes())?;
        self.line = line;
        // From here on the change has happened; a line that can't be written now is written next time.
        let _ = self.append_newest();
        Ok(())
    }

    /// Appends the newest line, or its missing part.
    fn append_newest(&mut self) -> io::Result<()> {
        let line = format!("{}\n", self.line);
        let wanted = line.as_bytes();
        let end = self.file.seek(SeekFrom::End(0))?;
        let back = end.min(wanted.len() as u64);
        self.file.seek(SeekFrom::Start(end - back))?;
        let mut tail = Vec::new();
        Read::by_ref(&mut self.file).take(back).read_to_end(&mut tail)?;
        if tail == wanted {
            return Ok(());
        }
        // Behind the last complete line, the beginning of the newest one may stand already.
        let begun =
            tail.iter().rposition(|byte| *byte == b'\n').map_or(&tail[..], |at| &tail[at + 1..]);
        let missing = wanted.strip_prefix(begun).unwrap_or(wanted);
        self.file.write_all(missing)
    }
}

/// Reads the state without waiting for the lock, which is safe because it is only ever replaced; `None`
/// when absent.
///
/// # Errors
/// When it can't be read or is damaged.
pub(crate) fn read(state: &Path) -> Result<Option<Value>, Error> {
    // The advice for files that can be made again is to move them away; here that would lose the license.
    if std::fs::metadata(state).is_ok_and(|found| found.is_file() && found.len() > MAX_BYTES) {
        return Err(damaged(
            state,
            &format_args!("larger than {MAX_BYTES} bytes, so this program did not write it"),
        ));
    }
    let Some(bytes) = store::read(state, MAX_BYTES)? else { return Ok(None) };
    match json::parse(&bytes) {
        Ok(value) if value.is_object() => Ok(Some(value)),
        Ok(_) => Err(damaged(state, &"not a JSON object")),
        Err(what) => Err(damaged(state, &what)),
    }
}

/// The error for a state file that can't be understood.
pub(crate) fn damaged(state: &Path, what: &dyn Display) -> Error {
    Error::Failed(format!("{} is damaged: {what}; restore it from a backup", state.display()))
}

/// The number of lines in the log of `state`, if none was removed or changed.
///
/// # Errors
/// Which line does not follow from the one before.
pub(crate) fn verify(state: &Value, log: &Path) -> Result<usize, Error> {
    let text = std::fs::read_to_string(log).map_err(|error| Error::system("read", log, &error))?;
    let mut before = String::new();
    let mut count = 0;
    let newest = state[LINE].as_str().unwrap_or_default();
    let late = (!text.ends_with(&format!("{newest}\n"))).then_some(newest);
    let lines = text.lines().filter(|line| late.is_none_or(|newest| !newest.starts_with(line)));
    for line in lines.chain(late) {
        count += 1;
        let prev = json::parse(line.as_bytes()).map(|line| line["prev"].clone());
        if prev != Ok(Digest::of(before.as_bytes()).to_string().into()) {
            return Err(Error::Failed(format!("line {count} does not follow from the one before")));
        }
        line.clone_into(&mut before);
    }
    Ok(count)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    options.read(true).append(true).custom_flags(flags);
    options
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Map, Value, json};

    use super::{AuditLog, MAX_BYTES, read, verify};
    use crate::store::Scratch;

    fn event(word: &str) -> Map<String, Value> {
        Map::from_iter([("event".to_owned(), word.into())])
    }

    struct World {
        scratch: Scratch,
    }

    impl World {
        fn new() -> World {
            let world = World { scratch: Scratch::new() };
            let mut audit_log = AuditLog::create(&world.state(), &world.log()).unwrap().unwrap();
            audit_log.commit(&json!({"n": 0}), event("made"), 0).unwrap();
            world
        }

        fn state(&self) -> std::path::PathBuf {
            self.scratch.0.join("state.json")
        }

        fn log(&self) -> std::path::PathBuf {
            self.scratch.0.join("state.log")
        }

        fn change(&self, n: i64) {
            let (mut audit_log, _) = AuditLog::open(&self.state(), &self.log()).unwrap().unwrap();
            audit_log.commit(&json!({"n": n}), event("changed"), n).unwrap();
        }

        fn verified(&self) -> Result<usize, crate::store::Error> {
            verify(&read(&self.state()).unwrap().unwrap(), &self.log())
        }
    }

    #[test]
    fn every_change_is_a_line_that_follows_from_the_one_before() {
        let world = World::new();
        (1..5).for_each(|n| world.change(n));
        assert_eq!(world.verified(), Ok(5));
        let text = std::fs::read_to_string(world.log()).unwrap();
        for line in 0..5 {
            let kept = text.lines().enumerate().filter(|(at, _)| *at != line);
            let without: String = kept.map(|(_, line)| format!("{line}\n")).collect();
            std::fs::write(world.log(), without).unwrap();
            // The newest one alone can't be lost, because the state holds it as well.
            assert_eq!(world.verified().is_ok(), line == 4, "without line {line}");
            std::fs::write(world.log(), text.replace("made", "mode")).unwrap();
            assert!(world.verified().is_err());
        }
    }

    #[test]
    fn a_line_that_a_power_cut_took_is_written_again() {
        let world = World::new();
        (1..3).for_each(|n| world.change(n));
        let text = std::fs::read_to_string(world.log()).unwrap();
        let last = text.lines().last().unwrap().len() + 1;
        for cut in 0..=last {
            std::fs::write(world.log(), &text[..text.len() - cut]).unwrap();
            assert_eq!(world.verified(), Ok(3), "{cut} bytes cut");
            drop(AuditLog::open(&world.state(), &world.log()).unwrap());
            assert_eq!(std::fs::read_to_string(world.log()).unwrap(), text, "{cut} bytes cut");
        }
    }

    #[test]
    fn a_state_that_could_not_be_read_again_is_not_written() {
        let world = World::new();
        let (mut audit_log, before) =
            AuditLog::open(&world.state(), &world.log()).unwrap().unwrap();
        let large = json!({"n": "x".repeat(usize::try_from(MAX_BYTES).unwrap())});
        let error = audit_log.commit(&large, event("grown"), 1).unwrap_err().to_string();
        assert!(error.contains("nothing was changed"), "{error}");
        audit_log.commit(&json!({"n": 2}), event("changed"), 2).unwrap();
        drop(audit_log);
        assert_eq!((&before["n"], world.verified()), (&json!(0), Ok(2)));
    }

    #[test]
    fn a_state_that_is_too_large_is_not_to_be_moved_away() {
        let world = World::new();
        std::fs::File::options()
            .write(true)
            .open(world.state())
            .and_then(|file| file.set_len(MAX_BYTES + 1))
            .unwrap();
        let error = read(&world.state()).unwrap_err().to_string();
        assert!(error.contains("restore it from a backup") && !error.contains("mv "), "{error}");
    }

    #[test]
    fn a_state_is_made_once() {
        let world = World::new();
        assert!(AuditLog::create(&world.state(), &world.log()).unwrap().is_none());
        let absent = world.scratch.0.join("absent");
        assert!(AuditLog::open(&absent, &absent).unwrap().is_none());
    }

    #[test]
    fn a_lost_log_is_not_an_absent_license() {
        let world = World::new();
        std::fs::remove_file(world.log()).unwrap();
        let Err(error) = AuditLog::open(&world.state(), &world.log()) else { unreachable!() };
        assert!(error.to_string().contains("it is missing"), "{error}");
    }

    #[test]
    fn a_damaged_state_is_named() {
        let world = World::new();
        for damage in ["", "{", "[]"] {
            std::fs::write(world.state(), damage).unwrap();
            let Err(error) = AuditLog::open(&world.state(), &world.log()) else { unreachable!() };
            assert!(error.to_string().contains("is damaged"), "{error}");
        }
    }
}
