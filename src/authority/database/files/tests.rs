#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::Files;
use crate::authority::database::{Database, Key, Kind};
use crate::store::Scratch;

const CODE: &str = "494953679762904933";

struct World {
    scratch: Scratch,
    files: Files,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new();
        let files = Files::new(&scratch.0).unwrap();
        World { scratch, files }
    }

    fn put(&self, n: u64) {
        let put = self.files.transact("933", &mut |step| {
            step.write(Key::of_license(Kind::License, CODE), Some(n.to_string()));
            step.write(Key::audit(CODE, n), Some(format!("line {n}")));
            Ok(())
        });
        put.unwrap();
    }

    fn get(&self) -> Result<Option<String>, crate::store::Error> {
        let mut found = None;
        self.files.transact("933", &mut |step| {
            found = step.read(&Key::of_license(Kind::License, CODE))?;
            Ok(())
        })?;
        Ok(found)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.0.join("records/933").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path(&format!("{CODE}/audit.log"))).unwrap()
    }

    /// As if the machine had crashed: the journal's first line is of another boot.
    fn crash(&self) {
        let mut journal = fs::read(self.path("journal")).unwrap();
        journal[..8].copy_from_slice(b"00000000");
        fs::write(self.path("journal"), journal).unwrap();
    }
}

fn lines(count: u64) -> String {
    (1..=count).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn files_that_a_crash_took_are_written_again() {
    let world = World::new();
    (1..=5).for_each(|n| world.put(n));
    let log = world.path(&format!("{CODE}/audit.log"));
    for kept in [0, 3, 10, 34] {
        fs::write(&log, &lines(5)[..kept]).unwrap();
        fs::write(world.path(&format!("{CODE}/license.json")), "2").unwrap();
        world.crash();
        assert_eq!((world.get(), world.log()), (Ok(Some("5".to_owned())), lines(5)));
    }
    fs::remove_dir_all(world.path(CODE)).unwrap();
    world.crash();
    assert_eq!((world.get(), world.log()), (Ok(Some("5".to_owned())), lines(5)));
}

#[test]
fn a_torn_line_did_not_happen_and_a_changed_one_is_damage() {
    let world = World::new();
    (1..=3).for_each(|n| world.put(n));
    let whole = fs::read(world.path("journal")).unwrap();
    let last = whole.split_inclusive(|byte| *byte == b'\n').next_back().unwrap().len();
    for cut in 1..last {
        fs::write(world.path("journal"), &whole[..whole.len() - cut]).unwrap();
        world.crash();
        // What the second step wrote, because only its line is left.
        assert_eq!(world.get(), Ok(Some("2".to_owned())), "{cut} bytes cut");
    }
    let text = String::from_utf8(whole).unwrap().replacen("line 2", "line 9", 1);
    fs::write(world.path("journal"), text).unwrap();
    world.crash();
    assert!(world.get().unwrap_err().to_string().contains("is damaged"));
}

#[test]
fn the_journal_begins_anew_and_nothing_is_lost() {
    let world = World::new();
    let size = || fs::metadata(world.path("journal")).unwrap().len();
    let (mut n, mut before, mut shrunk) = (0, 0, 0);
    while shrunk < 2 {
        n += 1;
        world.put(n);
        shrunk += u32::from(size() < before);
        before = size();
    }
    assert_eq!((world.get(), world.log()), (Ok(Some(n.to_string())), lines(n)));
    world.crash();
    assert_eq!((world.get(), world.log()), (Ok(Some(n.to_string())), lines(n)));
}

#[test]
fn a_line_behind_the_journals_end_is_completed_by_the_next_process() {
    let world = World::new();
    world.put(1);
    let journal = fs::read(world.path("journal")).unwrap();
    world.put(2);
    // As if the process had ended between the journal and the files.
    let newer = fs::read(world.path("journal")).unwrap();
    let head = &journal[..128];
    fs::write(world.path(&format!("{CODE}/license.json")), "1").unwrap();
    fs::write(world.path(&format!("{CODE}/audit.log")), lines(1)).unwrap();
    let mut file = fs::File::options().write(true).open(world.path("journal")).unwrap();
    file.write_all(head).unwrap();
    file.write_all(&newer[128..]).unwrap();
    drop(file);
    assert_eq!((world.get(), world.log()), (Ok(Some("2".to_owned())), lines(2)));
}

#[test]
fn no_folder_is_made_for_a_step_that_writes_nothing() {
    let world = World::new();
    assert_eq!(world.get(), Ok(None));
    assert!(!world.scratch.0.join("records").exists());
}
