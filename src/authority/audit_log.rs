//! A state file and the log of what was done to it, which never disagree.
//!
//! The state file holds the newest line of its log, so that replacing the state is the one commit
//! point; the line is then appended, and appended again by whoever comes next if a power cut took it.
//! Each line holds the SHA-256 of the line before: nobody can take one out unseen. The log is also the
//! lock, since it is never replaced; `serve` and commands beside it wait for each other there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::{Map, Value};

use crate::config::json;
use crate::license::protocol::hex::Digest;
use crate::store::{self, Error};
use crate::util::utc;

/// Largest state file, in bytes. A license of one seat with all the ids it may remember has about 2 MB;
/// one of as many seats as can be sold, with all the activations it may ever have, has this room.
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
                // A state that lost its log must not pass for one that never was.
                return match read(state)? {
                    None => Ok(None),
                    Some(_) => Err(damaged(log, "it is not there, and what it tells of is")),
                };
            }
            other => other.map_err(|error| Error::system("open", log, &error))?,
        };
        let (mut journal, found) = AuditLog::locked(state, log, file)?;
        let Some(found) = found else { return Ok(None) };
        journal.line = found[LINE].as_str().unwrap_or_default().to_owned();
        journal.append_newest().map_err(|error| Error::system("write", log, &error))?;
        Ok(Some((journal, found)))
    }

    /// Makes the log if need be; `None` when there is a state already.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn create(state: &Path, log: &Path) -> Result<Option<AuditLog>, Error> {
        let file = options().create(true).mode(0o600).open(log);
        let file = file.map_err(|error| Error::system("make", log, &error))?;
        let (journal, found) = AuditLog::locked(state, log, file)?;
        if found.is_some() {
            return Ok(None);
        }
        // What an attempt that was cut short left there tells of nothing that has happened.
        journal.file.set_len(0).map_err(|error| Error::system("write", log, &error))?;
        Ok(Some(journal))
    }

    fn locked(state: &Path, log: &Path, file: File) -> Result<(AuditLog, Option<Value>), Error> {
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
            // Nobody could read it again.
            return Err(Error::Failed(format!(
                "{} would have {} bytes, and {MAX_BYTES} are the most: nothing was changed; release seats that \
                 nobody needs any more, and create another license for what is to come",
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

    /// Appends the newest line, or what is missing of it.
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
        // Where the last whole line ends, the beginning of the newest one may stand already.
        let begun =
            tail.iter().rposition(|byte| *byte == b'\n').map_or(&tail[..], |at| &tail[at + 1..]);
        let missing = wanted.strip_prefix(begun).unwrap_or(wanted);
        self.file.write_all(missing)
    }
}

/// The state without waiting for the lock: whole, since it is only ever replaced; `None` when absent.
///
/// # Errors
/// When it can't be read or is damaged.
pub(crate) fn read(state: &Path) -> Result<Option<Value>, Error> {
    // Moved away, as the advice is for files that can be made again, it would be a license that is unknown.
    if std::fs::metadata(state).is_ok_and(|found| found.is_file() && found.len() > MAX_BYTES) {
        return Err(damaged(state, &format!("larger than {MAX_BYTES} bytes, so it can't be ours")));
    }
    let Some(bytes) = store::read(state, MAX_BYTES)? else { return Ok(None) };
    match json::parse(&bytes) {
        Ok(value) if value.is_object() => Ok(Some(value)),
        Ok(_) => Err(damaged(state, "not a JSON object")),
        Err(what) => Err(damaged(state, &what)),
    }
}

/// A state file that makes no sense.
pub(crate) fn damaged(state: &Path, what: &str) -> Error {
    Error::Failed(format!("{} is damaged: {what}; restore it from a backup", state.display()))
}

/// How many lines the log of `state` has, if none was taken out or changed.
///
/// # Errors
/// KeyKind line does not follow from the one before.
pub(crate) fn verify(state: &Value, log: &Path) -> Result<usize, String> {
    let text = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
    let mut before = String::new();
    let mut count = 0;
    let newest = state[LINE].as_str().unwrap_or_default();
    let late = (!text.ends_with(&format!("{newest}\n"))).then_some(newest);
    let whole = text.lines().filter(|line| late.is_none_or(|newest| !newest.starts_with(line)));
    for line in whole.chain(late) {
        count += 1;
        let prev = json::parse(line.as_bytes()).map(|line| line["prev"].clone());
        if prev != Ok(Digest::of(before.as_bytes()).to_string().into()) {
            return Err(format!("line {count} does not follow from the one before"));
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
            let mut journal = AuditLog::create(&world.state(), &world.log()).unwrap().unwrap();
            journal.commit(&json!({"n": 0}), event("made"), 0).unwrap();
            world
        }

        fn state(&self) -> std::path::PathBuf {
            self.scratch.0.join("state.json")
        }

        fn log(&self) -> std::path::PathBuf {
            self.scratch.0.join("state.log")
        }

        fn change(&self, n: i64) {
            let (mut journal, _) = AuditLog::open(&self.state(), &self.log()).unwrap().unwrap();
            journal.commit(&json!({"n": n}), event("changed"), n).unwrap();
        }

        fn verified(&self) -> Result<usize, String> {
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
        let (mut journal, before) = AuditLog::open(&world.state(), &world.log()).unwrap().unwrap();
        let large = json!({"n": "x".repeat(usize::try_from(MAX_BYTES).unwrap())});
        let error = journal.commit(&large, event("grown"), 1).unwrap_err().to_string();
        assert!(error.contains("nothing was changed"), "{error}");
        journal.commit(&json!({"n": 2}), event("changed"), 2).unwrap();
        drop(journal);
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
    fn a_lost_log_is_no_absent_license() {
        let world = World::new();
        std::fs::remove_file(world.log()).unwrap();
        let Err(error) = AuditLog::open(&world.state(), &world.log()) else { unreachable!() };
        assert!(error.to_string().contains("it is not there"), "{error}");
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
