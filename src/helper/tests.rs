#![allow(clippy::unwrap_used)]

use std::io::BufReader;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::process::serve_streams;
use super::run::MAX_LINES;
use super::{CommandHelper, CommandKind, NOT_CONFIGURED, on_message, printed};
use crate::log::Log;

/// Both sides in this process, with `words` as the reboot command.
struct World {
    helper: CommandHelper,
    log: Arc<Mutex<String>>,
}

impl World {
    fn new(words: &[&str]) -> World {
        let kept = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&kept);
        let log = Log::to(move |line| sink.lock().unwrap().push_str(line));
        let (requests, mut to_requests) = std::io::pipe().unwrap();
        let (messages, to_messages) = std::io::pipe().unwrap();
        use std::io::Write as _;
        writeln!(to_requests, "{}", serde_json::json!({"reboot": words})).unwrap();
        std::thread::spawn(move || serve_streams(BufReader::new(requests), to_messages));
        World {
            helper: CommandHelper::over(to_requests, messages, &log, || {}).unwrap(),
            log: kept,
        }
    }

    fn run(words: &[&str]) -> (Result<(), String>, World) {
        let world = World::new(words);
        (world.helper.run(CommandKind::Reboot), world)
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
    assert!(ran.unwrap_err().to_string().contains("exit status: 3"));
    world.says("info reboot: no\n");
    assert!(
        World::run(&["/nowhere/x"]).0.unwrap_err().to_string().contains("/nowhere/x: No such file")
    );
    assert_eq!(World::run(&[]).0, Err(NOT_CONFIGURED.into()));
    let (_, world) = World::run(&["/bin/true"]);
    assert_eq!(world.helper.run(CommandKind::Shutdown), Err(NOT_CONFIGURED.into()));
    assert_eq!(CommandHelper::default().run(CommandKind::Reboot), Err(NOT_CONFIGURED.into()));
}

#[test]
fn a_command_runs_as_often_as_it_is_ordered() {
    let (ran, world) = World::run(&["/bin/sh", "-c", "echo again"]);
    assert_eq!(ran, Ok(()));
    for _ in 0..20 {
        assert_eq!(world.helper.run(CommandKind::Reboot), Ok(()));
    }
}

#[test]
fn a_command_that_says_much_goes_on_and_does_not_fill_the_log() {
    let (ran, world) = World::run(&["/bin/sh", "-c", "yes | head -c 300000; echo; exit 0"]);
    assert_eq!(ran, Ok(()));
    world.says("reboot: y\n");
    assert!(world.log.lock().unwrap().lines().count() <= MAX_LINES);
}

#[test]
fn nobody_waits_for_what_a_command_leaves_running() {
    let begin = Instant::now();
    let (ran, _) = World::run(&["/bin/sh", "-c", "sleep 60 & exit 0"]);
    assert_eq!(ran, Ok(()));
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_helper_that_has_ended_is_told_and_not_waited_for() {
    let (requests, to_requests) = std::io::pipe().unwrap();
    let (messages, to_messages) = std::io::pipe().unwrap();
    let helper = CommandHelper::over(to_requests, messages, &Log::to(|_| {}), || {}).unwrap();
    let waiting = helper.request(CommandKind::Reboot, None).unwrap();
    drop((requests, to_messages));
    assert!(waiting.recv().is_err());
    assert!(
        helper.run(CommandKind::Reboot).unwrap_err().to_string().contains("restart applianced")
    );
}

#[test]
fn a_helper_started_by_hand_says_so() {
    assert!(
        serve_streams(&b"reboot\n"[..], Vec::new())
            .unwrap_err()
            .to_string()
            .contains("not by hand")
    );
    assert!(serve_streams(&b""[..], Vec::new()).is_err());
}

#[test]
fn what_a_command_says_stays_one_message() {
    let text = "two\nlines \"quoted\" \u{1b}";
    let line = printed(CommandKind::Shutdown, text);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let told = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&told);
    let log = Log::to(move |line| sink.lock().unwrap().push_str(line));
    on_message(line.trim_end(), &Mutex::default(), &log);
    assert!(told.lock().unwrap().contains("info shutdown: two"), "{told:?}");
}

#[test]
fn a_command_gets_its_document_on_its_standard_input() {
    let (_, world) = World::run(&["/bin/cat"]);
    let document = serde_json::json!({"action": "try", "nameservers": ["192.0.2.1"]});
    let document = document.as_object().unwrap();
    let limit = Duration::from_secs(60);
    assert_eq!(world.helper.run_with(CommandKind::Reboot, document, limit), Ok(()));
    world.says("info reboot:   \"nameservers\": [\"192.0.2.1\"]\n");
    let hostile = serde_json::json!({"action": "$(reboot)"});
    let refused = world.helper.run_with(CommandKind::Reboot, hostile.as_object().unwrap(), limit);
    assert!(refused.unwrap_err().contains("holds what no setting does"));
    world.says("reboot: }");
}

#[test]
fn a_command_that_does_not_end_is_not_waited_for() {
    let world = World::new(&["/bin/sleep", "60"]);
    let document = serde_json::Map::new();
    let ran = world.helper.run_with(CommandKind::Reboot, &document, Duration::from_millis(50));
    assert!(ran.unwrap_err().contains("has not ended"));
}
