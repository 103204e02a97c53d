#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use std::ops::ControlFlow;

use super::{ARCHIVE, Archived, archive, remove, verify, write};
use crate::authority::accounting::model::terms;
use crate::authority::accounts::Accounts;
use crate::authority::backup::{backup, restore};
use crate::authority::copy::copy;
use crate::authority::database::files::Files;
use crate::authority::database::memory::Memory;
use crate::authority::database::{Key, Kind, Scope};
use crate::authority::license::{License, Terms};
use crate::authority::licenses::{Licenses, Update};
use crate::authority::record_file::Writer;
use crate::authority::records;
use crate::store::{Error, Scratch};

const CODES: [&str; 2] = ["494953679762904933", "494953679762904934"];

/// Lines of each license, one a second.
const LINES: i64 = 100;

fn sold() -> Licenses {
    let licenses = Licenses::new(Arc::new(Memory::default()));
    for code in CODES {
        let terms = Terms { code: code.to_owned(), ..terms() };
        assert!(licenses.create(&License::new(terms, 1_000), 1, &json!({})).unwrap());
        (2..=LINES).for_each(|now| change(&licenses, code, now));
    }
    licenses
}

/// Adds one line.
fn change(licenses: &Licenses, code: &str, now: i64) {
    let load = |step: &mut dyn crate::authority::database::Transaction| {
        Ok(records::license(step, code)?.map(Accounts::new))
    };
    let changed = licenses
        .update(code, now, &load, |_| Update { result: (), events: vec![json!({})] })
        .unwrap();
    assert_eq!(changed, Some(()));
}

fn to_file(licenses: &Licenses, path: &Path, before: i64) -> Result<Archived, String> {
    archive(licenses, path, before, 500, &mut |_| {}).map_err(|error| error.to_string())
}

/// The numbers of the lines that the store has.
fn there(licenses: &Licenses, code: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let scope = Scope::License { kind: Kind::Audit, code };
    licenses
        .database()
        .scan(scope, &mut |key, _| {
            numbers.extend(key.line());
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    numbers
}

fn assert_whole(licenses: &Licenses) {
    let verified = licenses.verify(&mut |_| {}).unwrap();
    assert_eq!((verified.licenses, verified.entries), (2, 2 * LINES as u64));
}

#[test]
fn old_lines_are_in_the_file_and_the_chain_goes_on_in_the_store() {
    let (licenses, scratch) = (sold(), Scratch::new());
    let [first, second, third] =
        ["first", "second", "third"].map(|name| scratch.0.join(name)) as [PathBuf; 3];
    assert_eq!(to_file(&licenses, &first, 71), Ok(Archived { lines: 140, licenses: 2 }));
    assert_eq!(there(&licenses, CODES[0]), (71..=100).collect::<Vec<_>>());
    assert_whole(&licenses);
    assert_eq!(verify(&licenses, &first), Ok(Archived { lines: 140, licenses: 2 }));

    let again = to_file(&licenses, &first, 71).unwrap_err();
    assert!(again.contains("was archived before: name another file"), "{again}");
    assert_eq!(to_file(&licenses, &second, 71), Ok(Archived::default()));
    assert!(!second.exists(), "nothing was older");

    assert_eq!(to_file(&licenses, &third, 1_000), Ok(Archived { lines: 60, licenses: 2 }));
    assert_eq!(there(&licenses, CODES[1]), Vec::<u64>::new());
    assert_whole(&licenses);
    for file in [&first, &third] {
        verify(&licenses, file).unwrap();
    }
}

#[test]
fn an_archive_that_was_interrupted_is_repeated_with_its_file() {
    let (licenses, scratch) = (sold(), Scratch::new());
    let path = scratch.0.join("file");
    let mut file = Writer::new(&path, ARCHIVE, 500).unwrap();
    let mut each = |license: Result<License, Error>| {
        write(&licenses, &license?, 81, &mut file)?;
        Ok(ControlFlow::Continue(()))
    };
    licenses.each(&mut each).unwrap();
    file.finish().unwrap();
    assert_eq!(there(&licenses, CODES[0]).len(), 100, "nothing is removed yet");
    let fault = verify(&licenses, &path).unwrap_err().to_string();
    assert!(fault.contains("if archiving was interrupted, repeat it"), "{fault}");
    // Interrupted within the second license.
    let text = std::fs::read_to_string(&path).unwrap();
    let part: String = text.lines().take(1 + 80 + 30).map(|line| format!("{line}\n")).collect();
    let other = scratch.0.join("part");
    std::fs::write(&other, part).unwrap();
    assert_eq!(remove(&licenses, &other, &mut |_| {}).unwrap().lines, 110);
    assert_eq!(there(&licenses, CODES[1])[0], 31);
    assert_whole(&licenses);

    assert_eq!(to_file(&licenses, &path, 81), Ok(Archived { lines: 50, licenses: 1 }));
    assert_eq!(there(&licenses, CODES[1])[0], 81);
    verify(&licenses, &path).unwrap();
    assert_whole(&licenses);
}

#[test]
fn what_was_archived_is_copied_backed_up_and_restored_without_its_lines() {
    let (licenses, scratch) = (sold(), Scratch::new());
    to_file(&licenses, &scratch.0.join("file"), 71).unwrap();
    let files = |name: &str| {
        let folder = scratch.0.join(name);
        std::fs::create_dir(&folder).unwrap();
        Licenses::new(Arc::new(Files::new(&folder).unwrap()))
    };
    let mut folder = files("folder");
    copy(&licenses, &mut folder, &mut |_| {}).unwrap();
    assert_whole(&folder);
    assert_eq!(there(&folder, CODES[0]), there(&licenses, CODES[0]));
    change(&folder, CODES[0], 101);
    assert_eq!(there(&folder, CODES[0]).last(), Some(&101));
    folder.verify(&mut |_| {}).unwrap();

    let path = scratch.0.join("backup");
    backup(&licenses, &path, 500, &mut |_| {}).unwrap();
    let mut restored = files("restored");
    restore(&path, &mut restored, &mut |_| {}).unwrap();
    assert_whole(&restored);

    // A target that has lines of before, and lacks some that were archived since.
    let mut behind = Licenses::new(Arc::new(Memory::default()));
    behind
        .database()
        .transact(crate::authority::database::shard_of(CODES[0]), &mut |step| {
            step.write(Key::audit(CODES[0], 1), Some("{}".to_owned()));
            Ok(())
        })
        .unwrap();
    let fault = copy(&licenses, &mut behind, &mut |_| {}).unwrap_err().to_string();
    assert!(fault.contains("copy to an empty place") && !fault.contains(CODES[0]), "{fault}");

    let fault = to_file(&folder, &scratch.0.join("other"), 1_000).unwrap_err();
    assert!(fault.contains("a folder keeps its audit logs"), "{fault}");
}

#[test]
fn a_file_of_something_else_or_of_another_authority_is_refused() {
    let (licenses, scratch) = (sold(), Scratch::new());
    let path = scratch.0.join("file");
    std::fs::write(&path, "hello\nyou\n").unwrap();
    let fault = to_file(&licenses, &path, 71).unwrap_err();
    assert!(fault.contains("is no archive of a license authority"), "{fault}");

    let other = sold();
    // The same code with another history.
    change(&other, CODES[0], 200);
    let theirs = scratch.0.join("theirs");
    to_file(&other, &theirs, 1_000).unwrap();
    let fault = to_file(&licenses, &theirs, 71).unwrap_err();
    assert!(fault.contains("not those that come next in the store"), "{fault}");
    assert!(verify(&licenses, &theirs).is_err());
}
