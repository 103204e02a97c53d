//! Takes old lines of all audit logs out of a store that machines share, into one file: there each line is kept in
//! memory and in every backup of the cluster, and each answer adds one.
//!
//! First the file is complete, then the lines are removed, in order; with each step the license's record says up to
//! where, by number and hash. So an interrupted archive is repeated with the same file, and whoever has the files
//! can prove the whole chain: the first line in the store holds the hash of the last one in the newest file, whose
//! first line holds that of the last one in the file before.

use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use crate::store::Error;
use crate::util::{json, utc};

use super::audit::AuditHead;
use super::database::{Key, MAX_RECORDS, Scope, redacted, shard_of};
use super::license::License;
use super::licenses::Licenses;
use super::record_file::{self, Writer, check, each_record};
use super::records;

/// The file of an archive.
const ARCHIVE: record_file::Kind =
    record_file::Kind { member: "license-authority-archive", name: "archive" };

/// Lines that are removed in one step, which changes the license's record too.
const MAX_LINES: usize = MAX_RECORDS - 2;

/// What was archived, or is in an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Archived {
    pub(crate) lines: u64,
    pub(crate) licenses: u64,
}

/// Moves the lines that are older than `before`, in seconds since 1970, into the file `path`. If there is such a
/// file, the lines in it are removed that an interrupted archive has left.
///
/// # Errors
/// When the store is a folder, the file is none of this authority's, or the system refuses. No line is removed that
/// is not in the file.
pub(crate) fn archive(
    licenses: &Licenses,
    path: &Path,
    before: i64,
    now: i64,
    progress: &mut dyn FnMut(u64),
) -> Result<Archived, Error> {
    if !licenses.database().is_shared() {
        return Err(Error::new("a folder keeps its audit logs; only those on etcd are archived"));
    }
    if path.exists() {
        check(path, ARCHIVE)?;
    } else {
        let mut file = Writer::new(path, ARCHIVE, now)?;
        licenses.each(&mut |license| {
            write(licenses, &license?, before, &mut file)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if file.records() == 0 {
            return Ok(Archived::default());
        }
        file.finish()?;
    }
    let removed = remove(licenses, path, progress)?;
    if removed.lines == 0 {
        let what = "was archived before: name another file to archive more";
        return Err(Error::new(format!("{} {what}", path.display())));
    }
    Ok(removed)
}

/// Writes the lines of a license that are older than `before`, as far as they follow from each other.
fn write(
    licenses: &Licenses,
    license: &License,
    before: i64,
    file: &mut Writer,
) -> Result<(), Error> {
    let mut end = license.archived;
    let scope = Scope::Lines { code: &license.terms.code, after: end.lines };
    licenses.database().scan(scope, &mut |key, line| {
        let time = json::parse(line.as_bytes()).ok().and_then(|line| time_of(&line));
        if end.lines == license.audit.lines || time.is_none_or(|time| time >= before) {
            return Ok(ControlFlow::Break(()));
        }
        end = end.followed_by(&line).map_err(|fault| of_license(&license.terms.code, &fault))?;
        file.put(&key, &line)?;
        Ok(ControlFlow::Continue(()))
    })
}

fn time_of(line: &Value) -> Option<i64> {
    line["time"].as_str().and_then(utc::parse)
}

fn of_license(code: &str, fault: &Error) -> Error {
    Error::new(format!("license {}: audit log: {fault}", redacted(code)))
}

/// Removes the lines that are in the file.
fn remove(
    licenses: &Licenses,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Archived, Error> {
    let mut removed = Archived::default();
    let mut lines: Vec<(Key, String)> = Vec::new();
    let mut last = String::new();
    let mut flush = |lines: &mut Vec<(Key, String)>| -> Result<(), Error> {
        let Some(code) = lines.first().and_then(|(key, _)| key.code()).map(str::to_owned) else {
            return Ok(());
        };
        let count = forget(licenses, &code, lines).map_err(|fault| of_license(&code, &fault))?;
        lines.clear();
        if count > 0 {
            removed.lines += count;
            removed.licenses += u64::from(last != code);
            last = code;
            progress(removed.licenses);
        }
        Ok(())
    };
    each_record(path, &mut |key, line| {
        let other = lines.first().is_some_and(|(first, _)| first.code() != key.code());
        if other || lines.len() == MAX_LINES {
            flush(&mut lines)?;
        }
        lines.push((key, line));
        Ok(())
    })?;
    flush(&mut lines)?;
    Ok(removed)
}

/// Removes lines of one license that follow each other in one step; how many there were.
fn forget(licenses: &Licenses, code: &str, lines: &[(Key, String)]) -> Result<u64, Error> {
    let number = |line: Option<&(Key, String)>| line.and_then(|(key, _)| key.line()).unwrap_or(0);
    let (first, last) = (number(lines.first()), number(lines.last()));
    let mut removed = 0;
    licenses.database().transact(shard_of(code), &mut |step| {
        removed = 0;
        let Some(mut license) = records::license(step, code)? else {
            return Err(Error::new("there is no such license"));
        };
        if license.archived.lines >= last {
            return Ok(());
        }
        if license.archived.lines + 1 != first || license.audit.lines < last {
            let what = "the lines of the file are not those that come next in the store";
            return Err(Error::new(what));
        }
        for (key, line) in lines {
            license.archived = license.archived.followed_by(line)?;
            step.write(key.clone(), None);
        }
        removed = last - first + 1;
        step.put(records::license_record(&license));
        Ok(())
    })?;
    Ok(removed)
}

/// Checks that an archive is whole, and that the store goes on where it ends.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn verify(licenses: &Licenses, path: &Path) -> Result<Archived, Error> {
    check(path, ARCHIVE)?;
    let mut verified = Archived::default();
    let mut log: Option<(String, AuditHead)> = None;
    each_record(path, &mut |key, line| {
        let code = key.code().unwrap_or_default();
        let end = match log.take() {
            Some((before, end)) if before == code => end,
            before => {
                continued(licenses, before)?;
                verified.licenses += 1;
                start(&key, &line)?
            }
        };
        let end = end.followed_by(&line).map_err(|fault| of_license(code, &fault))?;
        log = Some((code.to_owned(), end));
        verified.lines += 1;
        Ok(())
    })?;
    continued(licenses, log)?;
    Ok(verified)
}

/// The end of what precedes the first line of a license in a file, which that line names.
fn start(key: &Key, line: &str) -> Result<AuditHead, Error> {
    let lines = key.line().unwrap_or(1).saturating_sub(1);
    let prev = json::parse(line.as_bytes()).unwrap_or_default();
    match prev["prev"].as_str().and_then(crate::license::protocol::hex::Digest::parse) {
        Some(hash) if lines > 0 => Ok(AuditHead { lines, hash }),
        _ => Ok(AuditHead::none()),
    }
}

/// Fails unless the store's log goes on where that of the file ends, or further on.
fn continued(licenses: &Licenses, log: Option<(String, AuditHead)>) -> Result<(), Error> {
    let Some((code, end)) = log else { return Ok(()) };
    let archived = licenses.read(&code)?.map(|license| license.archived);
    let fits = archived.is_some_and(|archived| {
        archived == end || archived.lines > end.lines // a newer archive goes on where this one ends
    });
    if fits {
        return Ok(());
    }
    let what =
        "the store does not go on where the file ends; if archiving was interrupted, repeat it";
    Err(of_license(&code, &Error::new(what)))
}

#[cfg(test)]
mod tests;
