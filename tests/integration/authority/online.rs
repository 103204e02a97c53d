//! Appliances ask the running authority.

use std::net::SocketAddr;
use std::sync::Barrier;

use applianced::protocol::hex::Digest;
use applianced::protocol::key::SigningKey;
use applianced::protocol::message::{Denial, Kind, Op};
use applianced::protocol::wire::{self, AnswerError};
use serde_json::Value;

use crate::authority::fixture::{sell, serving};
use crate::authority::machine::{Machine, NOW, is, post};
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

fn figures(vendor: &Vendor, code: &str) -> [i64; 3] {
    let shown = vendor.show(code);
    ["secs_left", "secs_held", "secs_used"].map(|name| shown[name].as_i64().unwrap())
}

#[test]
fn an_appliance_activates_uses_asks_for_more_and_returns() {
    let (mut vendor, code, mut machine) = serving(&[]);
    let address = vendor.address();
    assert_eq!(machine.ask(address, Op::Probe).kind, Kind::Probe);
    assert_eq!(machine.ask(address, Op::Activate).kind, Kind::Lease);
    assert_eq!(figures(&vendor, &code), [940, 60, 0]);
    machine.consumed = 45;
    assert_eq!(machine.ask(address, Op::Sync).kind, Kind::Lease);
    assert_eq!((machine.granted, figures(&vendor, &code)), (105, [895, 60, 45]));
    machine.consumed = 50;
    assert_eq!(machine.ask(address, Op::Return).returned, 55);
    assert_eq!(figures(&vendor, &code), [950, 0, 50]);
    assert_eq!(machine.ask(address, Op::Activate).kind, Kind::Lease);
    assert_eq!((machine.epoch, figures(&vendor, &code)), (2, [890, 60, 50]));
    assert_eq!(vendor.stop().code(), Some(0));
    assert_eq!(vendor.show(&code)["audit"], "5 entries, intact");
}

#[test]
fn commands_work_beside_the_running_serve() {
    let (vendor, code, mut machine) = serving(&[]);
    let address = vendor.address();
    machine.ask(address, Op::Activate);
    vendor.ok(&["suspend", &code]);
    assert_eq!(machine.ask(address, Op::Sync).denial, Some(Denial::Suspended));
    vendor.ok(&["resume", &code]);
    vendor.ok(&["extend", &code, "--secs", "500"]);
    assert_eq!(machine.ask(address, Op::Sync).kind, Kind::Lease);
    assert_eq!(figures(&vendor, &code), [1_440, 60, 0]);
    vendor.ok(&["release", &code]);
    assert_eq!(machine.ask(address, Op::Sync).denial, Some(Denial::Duplicate));
    assert_eq!(figures(&vendor, &code), [1_440, 0, 60]);
    vendor.ok(&["credit", &code, "--secs", "60"]);
    assert_eq!(figures(&vendor, &code), [1_500, 0, 0]);
    let later = sell(&vendor, &[]);
    let mut other = Machine::new(&later, vendor.trust());
    assert_eq!(other.ask(address, Op::Activate).kind, Kind::Lease, "sold while serving");
}

#[test]
fn only_one_serve_uses_a_folder() {
    let (vendor, _, _) = serving(&[]);
    let second = vendor.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(
        second.code == 1 && second.err.contains("another `license-authority serve`"),
        "{second:?}"
    );
}

#[test]
fn keys_are_rotated_while_appliances_ask() {
    let (vendor, _, mut machine) = serving(&[]);
    let address = vendor.address();
    machine.ask(address, Op::Activate);
    assert_eq!(machine.trust.bundle().seq, 1);
    vendor.ok(&["rotate", "request-key"]);
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    let answer = machine.ask(address, Op::Sync);
    assert!(answer.token.unwrap().starts_with("i2."), "signed with the new key");
    assert_eq!(machine.trust.bundle().seq, 3, "and the answer brought the bundle that names it");
    assert_eq!(machine.trust.request_keys(NOW)[0].kid.as_str(), "k2");
    assert_eq!(machine.ask(address, Op::Sync).bundle, None);
}

#[test]
fn a_lost_answer_comes_again_under_a_key_that_is_still_believed() {
    let (vendor, code, mut machine) = serving(&[]);
    let address = vendor.address();
    let request = machine.request(Op::Activate);
    let lost = machine.send(address, &request).unwrap();
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    let answer = machine.send(address, &request).unwrap();
    assert_ne!(lost.token, answer.token);
    machine.take_in(Op::Activate, &answer);
    let mut early =
        Machine { device: SigningKey::from_seed(machine.device.seed()).unwrap(), ..machine };
    early.prev = Digest::of(lost.token.unwrap().as_bytes());
    assert_eq!(
        early.ask(address, Op::Sync).kind,
        Kind::Lease,
        "who got the first one goes on as well"
    );
    assert_eq!(figures(&vendor, &code), [940, 60, 0]);
}

#[test]
fn a_question_that_cannot_be_opened_is_answered_in_clear_and_nothing_happens() {
    let (vendor, _, machine) = serving(&[]);
    let address = vendor.address();
    let stranger = Machine::new("494900000000000000", Vendor::init().trust());
    let error = stranger.send(address, &stranger.request(Op::Probe)).unwrap_err();
    assert!(is(&error, &AnswerError::Unsealed("the request was changed in transit".to_owned())));

    let mut trust = machine.trust.request_keys(NOW)[0].clone();
    trust.kid = applianced::protocol::key::KeyId::parse("k9").unwrap();
    let sealed = wire::seal_to(&machine.request(Op::Probe), &trust, &machine.device).unwrap();
    let (status, body) = post(address, &sealed.body).unwrap();
    assert_eq!((status, sealed.opener.open(&body)), (422, Err(AnswerError::UnknownKey)));
}

/// Tries so many codes that no license has; what the last one was told.
fn guess(guesser: &mut Machine, address: SocketAddr, first: usize, count: usize) -> Option<Denial> {
    let right = std::mem::take(&mut guesser.code);
    let mut told = None;
    for number in first..first + count {
        guesser.code = format!("4949{number:014}");
        let op = if number % 2 == 0 { Op::Activate } else { Op::Sync };
        told = guesser.ask(address, op).denial;
    }
    guesser.code = right;
    told
}

#[test]
fn wrong_codes_keep_neither_a_good_code_nor_a_known_appliance_out() {
    let (vendor, code, mut machine) = serving(&["--activations", "5"]);
    let address = vendor.address();
    machine.ask(address, Op::Activate);
    let mut guesser = Machine::new(&code, vendor.trust());
    assert_eq!(guess(&mut guesser, address, 0, 10), Some(Denial::UnknownLicense));
    assert_eq!(guess(&mut guesser, address, 10, 1), Some(Denial::TooManyTries));
    vendor.logged("10 wrong codes within an hour from 127.0.0.1");
    assert_eq!(guesser.ask(address, Op::Activate).kind, Kind::Lease, "the right one is no guess");
    assert_eq!(machine.ask(address, Op::Sync).kind, Kind::Lease);
}

#[test]
fn who_goes_on_guessing_is_not_read_anymore_and_known_appliances_are() {
    let (vendor, code, mut machine) = serving(&["--activations", "5"]);
    let address = vendor.address();
    machine.ask(address, Op::Activate);
    let mut guesser = Machine::new(&code, vendor.trust());
    let told = until(SOON * 3, "guesses are not read", || {
        guess(&mut guesser, address, 0, 80);
        let told = guesser.ask(address, Op::Sync).denial;
        told.filter(|denial| *denial == Denial::TooManyTries)
    });
    assert_eq!(told, Denial::TooManyTries, "not even what is wrong with its own question");
    assert_eq!(machine.ask(address, Op::Sync).kind, Kind::Lease);
}

#[test]
fn appliances_that_race_for_the_last_seconds_never_get_more_than_there_are() {
    let (vendor, code, _) = serving(&["--activations", "100"]);
    let address = vendor.address();
    let start = Barrier::new(25);
    let granted: Vec<i64> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..25)
            .map(|_| {
                let (mut machine, start) = (Machine::new(&code, vendor.trust()), &start);
                scope.spawn(move || {
                    start.wait();
                    machine.ask(address, Op::Activate);
                    machine.granted
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(granted.iter().sum::<i64>(), 1_000, "{granted:?}");
    assert_eq!(figures(&vendor, &code), [0, 1_000, 0]);
}

#[test]
fn a_question_that_could_not_be_written_down_is_asked_again_and_answered_once() {
    let (vendor, code, machine) = serving(&[]);
    let address = vendor.address();
    let path = vendor.dir().join(format!("records/{}/{code}/license.json", &code[15..]));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "{").unwrap();
    let request = machine.request(Op::Activate);
    let answer = machine.send(address, &request).unwrap();
    assert_eq!((answer.kind, answer.denial), (Kind::Denied, Some(Denial::Unavailable)));
    vendor.logged("is damaged");
    std::fs::write(&path, whole).unwrap();
    assert_eq!(machine.send(address, &request).unwrap().kind, Kind::Lease);
    assert_eq!(figures(&vendor, &code), [940, 60, 0]);
}

#[test]
fn neither_codes_nor_persons_reach_the_log() {
    let (vendor, code, mut machine) = serving(&[]);
    machine.ask(vendor.address(), Op::Activate);
    machine.ask(vendor.address(), Op::Sync);
    let masked = format!("{}…{}", &code[..4], &code[14..]);
    let log = vendor.logged(&format!("sync {masked} from 127.0.0.1: lease"));
    assert!(log.contains(&format!("activate {masked} from 127.0.0.1: lease")), "{log}");
    assert!(!log.contains(&code) && !log.contains("example.com"), "{log}");
    let shown: Value = vendor.show(&code);
    assert_eq!(shown["appliances"][0]["email_address"], "somebody@example.com", "for support");
    let audit = vendor.dir().join(format!("records/{}/{code}/audit.log", &code[15..]));
    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(!audit.contains(&code) && !audit.contains("example.com"), "{audit}");
}
