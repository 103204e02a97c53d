//! A panic of the worker, provoked by a log that panics at a word.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::config::Config;
use crate::license::device::computer_id::Machine;
use crate::log::Log;
use crate::security::Actor;
use crate::store::{Folder, Scratch};

#[test]
fn a_panic_of_the_worker_costs_one_command_and_is_logged() {
    let scratch = Scratch::new();
    let folder = Arc::new(Folder::open(&scratch.0.join("state"), &[]).unwrap());
    let kept = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&kept);
    let log = Log::to(move |line| {
        assert!(!line.contains("set to boom"), "provoked");
        sink.lock().unwrap().push_str(line);
    });
    let config = Config::parse(b"{}").unwrap();
    let license = super::start(&config, &folder, &Machine::new("", ""), &log).unwrap();

    let proxy = |host: &str| json!({"http_configuration": {"ip": host, "port": 3128}});
    let set = |host: &str| license.set_proxy(proxy(host), Actor::Local);
    assert!(set("boom").is_err());
    let end = Instant::now() + Duration::from_secs(20);
    while set("fine").is_err() {
        assert!(Instant::now() < end, "the worker never came back");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(license.proxy().unwrap().unwrap().address(), "fine:3128");
    assert!(kept.lock().unwrap().contains("internal error (panic) in the license worker"));
}
