#![allow(clippy::unwrap_used)]

use std::io::BufReader;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::process::attend;
use super::run::MOST_LINES;
use super::{CommandHelper, NOT_CONFIGURED, News, Which};
use crate::log::Log;

/// Both sides in this process, with `words` as the command that reboots.
struct World {
    attendant: CommandHelper,
    log: Arc<Mutex<String>>,
}

impl World {
    fn new(words: &[&str]) -> World {
        let kept = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&kept);
        let log = Log::to(move |line| sink.lock().unwrap().push_str(line));
        let (orders, mut to_order) = std::io::pipe().unwrap();
        let (said, to_say) = std::io::pipe().unwrap();
        use std::io::Write as _;
        writeln!(to_order, "{}", serde_json::json!({"reboot": words})).unwrap();
        std::thread::spawn(move || attend(BufReader::new(orders), to_say));
        World { attendant: CommandHelper::over(to_order, said, &log, || {}).unwrap(), log: kept }
    }

    fn run(words: &[&str]) -> (Result<(), String>, World) {
        let world = World::new(words);
        (world.attendant.run(Which::Reboot), world)
    }

    #[track_caller]
    fn says(&self, words: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.log.lock().unwrap().contains(words) {
            assert!(Instant::now() < until, "{words:?} is not in {}", self.log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_command_is_its_words_and_not_a_line_for_a_shell() {
    let (ran, world) = World::run(&["/bin/echo", "$HOME;", "`id`", "two  blanks"]);
    assert_eq!(ran, Ok(()));
    world.says("info reboot: $HOME; `id` two  blanks\n");
}

#[test]
fn a_command_that_fails_or_is_not_there_is_told() {
    let (ran, world) = World::run(&["/bin/sh", "-c", "echo no >&2; exit 3"]);
    assert!(ran.unwrap_err().contains("exit status: 3"));
    world.says("info reboot: no\n");
    assert!(World::run(&["/nowhere/x"]).0.unwrap_err().contains("/nowhere/x: No such file"));
    assert_eq!(World::run(&[]).0, Err(NOT_CONFIGURED.to_owned()));
    let (_, world) = World::run(&["/bin/true"]);
    assert_eq!(world.attendant.run(Which::Shutdown), Err(NOT_CONFIGURED.to_owned()));
    assert_eq!(CommandHelper::default().run(Which::Reboot), Err(NOT_CONFIGURED.to_owned()));
}

#[test]
fn a_command_runs_as_often_as_it_is_ordered() {
    let (ran, world) = World::run(&["/bin/sh", "-c", "echo again"]);
    assert_eq!(ran, Ok(()));
    for _ in 0..20 {
        assert_eq!(world.attendant.run(Which::Reboot), Ok(()));
    }
}

#[test]
fn a_command_that_says_much_goes_on_and_does_not_fill_the_log() {
    let (ran, world) = World::run(&["/bin/sh", "-c", "yes | head -c 300000; echo; exit 0"]);
    assert_eq!(ran, Ok(()));
    world.says("reboot: y\n");
    assert!(world.log.lock().unwrap().lines().count() <= MOST_LINES);
}

#[test]
fn nobody_waits_for_what_a_command_leaves_running() {
    let begin = Instant::now();
    let (ran, _) = World::run(&["/bin/sh", "-c", "sleep 60 & exit 0"]);
    assert_eq!(ran, Ok(()));
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_attendant_that_has_ended_is_told_and_not_waited_for() {
    let (orders, to_order) = std::io::pipe().unwrap();
    let (said, to_say) = std::io::pipe().unwrap();
    let attendant = CommandHelper::over(to_order, said, &Log::to(|_| {}), || {}).unwrap();
    let waiting = attendant.order(Which::Reboot).unwrap();
    drop((orders, to_say));
    assert!(waiting.recv().is_err());
    assert!(attendant.run(Which::Reboot).unwrap_err().contains("restart applianced"));
}

#[test]
fn an_attendant_started_by_hand_says_so() {
    assert!(attend(&b"reboot\n"[..], Vec::new()).unwrap_err().contains("not by hand"));
    assert!(attend(&b""[..], Vec::new()).is_err());
}

#[test]
fn what_a_command_says_stays_one_message() {
    let text = "two\nlines \"quoted\" \u{1b}";
    let line = News::Said(text.to_owned()).write(Which::Shutdown);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(matches!(
        News::read(line.trim_end()),
        Some((Which::Shutdown, News::Said(said))) if said == text
    ));
}
