//! The audit logs of all licenses as one stream.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use applianced::protocol::message::Op;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::authority::fixture::{sell, serving};
use crate::support::wait::SOON;

fn told(text: &str) -> Vec<(String, u64, String)> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["prev"].is_null(), "{line}");
        let word = |name: &str| line[name].as_str().unwrap().to_owned();
        (word("license"), line["number"].as_u64().unwrap(), word("event"))
    };
    text.lines().map(line).collect()
}

#[test]
fn everything_that_happened_is_told_once_and_from_a_date_on() {
    let (vendor, code, mut machine) = serving(&[]);
    machine.ask(vendor.address(), Op::Activate);
    vendor.ok(&["suspend", &code, "--operator", "night shift"]);
    let all = vendor.ok(&["events"]);
    let events = ["created", "activated", "suspended"];
    let wanted: Vec<_> =
        (1..).zip(events).map(|(number, word)| (code.clone(), number, word.to_owned())).collect();
    assert_eq!(told(&all), wanted);
    assert!(all.contains("\"operator\":\"night shift\""), "{all}");
    assert_eq!(vendor.ok(&["events", "--after", "2099-01-01T00:00:00Z"]), "");
}

#[test]
fn a_follower_hears_what_happens_to_old_and_new_licenses() {
    let (vendor, code, mut machine) = serving(&[]);
    let mut command = vendor.command(&["events", "--follow", "--after", "2001-01-01T00:00:00Z"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (sender, receiver) = channel();
    let reader = thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| sender.send(line).unwrap());
    });
    let next = || told(&receiver.recv_timeout(SOON).unwrap()).remove(0);
    assert_eq!(next(), (code.clone(), 1, "created".to_owned()));
    machine.ask(vendor.address(), Op::Activate);
    assert_eq!(next(), (code.clone(), 2, "activated".to_owned()));
    let other = sell(&vendor, &[]);
    assert_eq!(next(), (other, 1, "created".to_owned()));
    machine.ask(vendor.address(), Op::Return);
    assert_eq!(next(), (code, 3, "returned".to_owned()));
    kill_process(Pid::from_child(&follower), Signal::TERM).unwrap();
    follower.wait().unwrap();
    reader.join().unwrap();
}
