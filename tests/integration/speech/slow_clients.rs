//! Clients that take their time: others are served meanwhile, and memory does not grow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::speech::fixture::fixture;
use crate::speech::websocket::{SWITCH, echo, upgrade};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit, field, ok};
use crate::support::wait::{SOON, until};

/// Many of each kind, so that a byte kept for each of them would show.
const CLIENTS: usize = 40;

/// KiB that the daemon may grow by for all of them: a worker's stack and buffers, and the kernel's own
/// are not counted. Without back-pressure it would be gigabytes.
const GROWTH: u64 = 12 << 10;

/// A service that plays `part` at `/v2/jobs/endless` and behaves otherwise, and an appliance in front of it.
fn endless(part: impl Fn(&mut Visit, &str) + Send + Sync + 'static) -> (Stub, Appliance) {
    fixture(move |visit| {
        while let Some(head) = visit.head() {
            if head.contains(" /v2/jobs/endless") {
                return part(visit, &head);
            }
            visit.say(ok("good").as_bytes());
        }
    })
}

fn others_are_served(appliance: &Appliance) {
    for mut client in [Client::plain(appliance.ports.speech), Client::tls(appliance.ports.https)] {
        for _ in 0..20 {
            client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(client.answer("GET").text(), "good");
        }
    }
}

fn half_of_each(appliance: &Appliance) -> Vec<Client> {
    (0..CLIENTS)
        .map(|number| match number % 2 {
            0 => Client::tls(appliance.ports.https),
            _ => Client::plain(appliance.ports.speech),
        })
        .collect()
}

#[test]
fn clients_that_stop_reading_hold_up_the_service_and_nobody_else() {
    let (stub, appliance) = endless(|visit, _| {
        visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
        while visit.say(&chunk) {}
    });
    others_are_served(&appliance);
    let before = appliance.memory("VmRSS");
    let mut clients = half_of_each(&appliance);
    for client in &mut clients {
        client.send("GET /v2/jobs/endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.head();
    }
    for _ in 0..20 {
        others_are_served(&appliance);
        // One byte now and then, as slow as it gets.
        clients.iter_mut().for_each(|client| drop(client.bytes(1).unwrap()));
    }
    let after = appliance.memory("VmRSS");
    assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    drop(stub);
}

#[test]
fn clients_that_send_a_head_byte_by_byte_are_served_like_others() {
    let (_stub, appliance) = endless(|_, _| {});
    let before = appliance.memory("VmRSS");
    let mut clients = half_of_each(&appliance);
    let head =
        b"GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\nX: some more to take time over\r\n\r\n";
    for (number, byte) in head.iter().enumerate() {
        clients.iter_mut().for_each(|client| client.send([*byte]));
        if number % 25 == 0 {
            others_are_served(&appliance);
        }
    }
    for client in &mut clients {
        assert_eq!(client.answer("GET").text(), "good");
    }
    let after = appliance.memory("VmRSS");
    assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
}

#[test]
fn clients_that_stop_in_the_middle_of_a_body_hold_up_nobody_else() {
    let (stub, appliance) = endless(|visit, _| visit.await_end());
    others_are_served(&appliance);
    let before = appliance.memory("VmRSS");
    let mut clients = half_of_each(&appliance);
    for client in &mut clients {
        client.send(
            "POST /v2/jobs/endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        );
        client.send(vec![b'x'; 500_000]);
    }
    until(SOON, "the service has every half", || {
        let halves = stub.recorded().iter().filter(|bytes| bytes.len() > 500_000).count();
        (halves == CLIENTS).then_some(())
    });
    others_are_served(&appliance);
    let after = appliance.memory("VmRSS");
    assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    // Those who leave in the middle are no request to the service.
    let known = appliance.log().len();
    drop(clients);
    until(SOON, "all have gone", || {
        let gone = appliance.log()[known..].matches("the client disconnected").count();
        (gone == CLIENTS).then_some(())
    });
    others_are_served(&appliance);
}

#[test]
#[ignore = "slow: takes 20 s"]
fn a_head_that_never_ends_gets_a_408_and_the_end_of_its_connection() {
    let (_stub, appliance) = endless(|_, _| {});
    let clients = [Client::plain(appliance.ports.speech), Client::tls(appliance.ports.https)];
    // The appliance gives 20 seconds.
    let mut clients = clients.map(|client| client.with_patience(Duration::from_secs(60)));
    for client in &mut clients {
        client.send("GET /v2/jobs HTTP/1.1\r\nHost: local");
    }
    others_are_served(&appliance);
    for client in &mut clients {
        assert_eq!(client.answer("GET").status, 408);
        assert_eq!(client.until_end().unwrap(), b"");
    }
}

#[test]
#[ignore = "slow: takes 80 s"]
fn a_client_that_reads_slowly_and_steadily_gets_its_answer_to_the_end() {
    const LENGTH: usize = 40 << 20;
    let (_stub, appliance) = endless(|visit, _| {
        visit.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes());
        visit.say(&vec![b'x'; LENGTH]);
    });
    let clients = [Client::plain(appliance.ports.speech), Client::tls(appliance.ports.https)];
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                // Its own kernel says that it has room again once a sixteenth of it is free.
                let mut client = client.with_room(200 << 10);
                client.send("GET /v2/jobs/endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
                client.head();
                // Fast until the kernel's buffers have grown, then as somebody who listens to it. The kernel
                // says that there is room only when a third of a buffer is free, and nothing is to move for
                // a minute at most.
                client.bytes(5 << 20).unwrap();
                let listening = Instant::now();
                let mut heard = 5 << 20;
                while listening.elapsed() < Duration::from_secs(80) {
                    heard += client.bytes(12 << 10).unwrap().len();
                    thread::sleep(Duration::from_secs(1));
                }
                client.bytes(LENGTH - heard).unwrap();
            });
        }
    });
}

/// Services have three eighths of the descriptors that are left of 256, see `limits::exchanges`: 72, of which
/// each of two others has 12 for itself.
const PLACES: usize = 48;

/// An appliance with so few of them.
fn with_few_places(service: SocketAddr) -> Appliance {
    let service = json!({
        "address": service.to_string(), "paths": ["/x/"], "auth": "none", "websocket": true
    });
    Appliance::start_with_descriptors(256, &Settings::v1().service("x", service))
}

/// More clients than there are places, each of which has said so much.
fn more_than_places(appliance: &Appliance, words: &str) -> Vec<Client> {
    let client = |_| {
        let mut client = Client::plain(appliance.ports.http);
        client.send(words);
        client
    };
    (0..PLACES + 10).map(client).collect()
}

#[test]
fn who_finds_all_places_taken_by_honest_requests_is_told_to_come_again_and_so_is_the_log() {
    let stub = Stub::start(|visit| while visit.head().is_some() {});
    let appliance = with_few_places(stub.address);
    let request = "GET /x/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut clients = more_than_places(&appliance, request);
    let refused = clients.last_mut().unwrap().answer("GET");
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")), "{refused:?}");
    assert!(refused.text().contains("retry later"), "{refused:?}");
    until(SOON, "it is in the log", || {
        let log = appliance.log();
        let line = log.lines().find(|line| line.contains("is busy with"))?;
        assert!(line.contains("/x/") && line.contains("503"), "{line}");
        Some(())
    });
}

#[test]
fn uploads_that_trickle_make_room_for_others_when_all_places_are_taken() {
    others_find_a_place_beside(false);
}

#[test]
fn so_do_uploads_that_come_byte_by_byte_however_fast() {
    others_find_a_place_beside(true);
}

fn others_find_a_place_beside(going_on: bool) {
    let held = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&held);
    let stub = Stub::start(move |visit| {
        while let Some(head) = visit.head() {
            if head.starts_with("POST ") {
                counts.fetch_add(1, Ordering::SeqCst);
                return visit.await_end();
            }
            visit.say(ok("good").as_bytes());
        }
    });
    let appliance = with_few_places(stub.address);
    let upload = "POST /x/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx";
    let mut slow = more_than_places(&appliance, upload);
    until(SOON, "all places are taken", || (held.load(Ordering::SeqCst) >= PLACES).then_some(()));
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let sending = thread::spawn(move || {
        while going_on && !ended.load(Ordering::SeqCst) {
            slow.retain_mut(|client| client.try_send(b"x").is_ok());
        }
        slow
    });
    for mut other in [Client::plain(appliance.ports.http), Client::tls(appliance.ports.https)] {
        until(SOON, "others are served", || is_served(&mut other, &appliance).then_some(()));
    }
    done.store(true, Ordering::SeqCst);
    drop(sending.join());
}

/// True if there is a place for its next request.
fn is_served(client: &mut Client, appliance: &Appliance) -> bool {
    client.send("GET /x/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.answer("GET");
    if answer.field("connection").is_some() {
        *client = Client::plain(appliance.ports.http); // the refusal was the last of it
    }
    answer.status == 200
}

#[test]
#[ignore = "slow: takes 60 s"]
fn websockets_silent_for_a_minute_make_room_for_others_when_all_places_are_taken() {
    let stub = Stub::start(|visit| {
        while let Some(head) = visit.head() {
            if field(&head, "upgrade").is_some() {
                visit.say(SWITCH);
                return echo(visit);
            }
            visit.say(ok("good").as_bytes());
        }
    });
    let appliance = with_few_places(stub.address);
    let mut talker = Client::plain(appliance.ports.http);
    talker.send(upgrade("/x/"));
    talker.head();
    let silent = more_than_places(&appliance, &upgrade("/x/"));
    let mut other = Client::plain(appliance.ports.http);
    assert!(!is_served(&mut other, &appliance), "there is a place");
    // The appliance gives them a minute.
    until(Duration::from_secs(90), "others are served", || {
        talker.send("x");
        assert_eq!(talker.bytes(1).unwrap(), b"x", "who talks has been cut off");
        is_served(&mut other, &appliance).then_some(())
    });
    appliance.logs(0, "evicted: request limit reached");
    drop(silent);
}
