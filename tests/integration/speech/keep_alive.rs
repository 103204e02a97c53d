//! Connections kept to the service: what may go on one, and what a service that closes them costs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, ok};
use crate::support::wait::{SOON, until};

fn ask(client: &mut Client, method: &str, body: &str) -> String {
    let length = body.len();
    client.send(format!(
        "{method} /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let answer = client.answer(method);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

#[test]
fn one_connection_to_the_service_carries_many_requests_of_many_clients() {
    let stub = Stub::answering("hi");
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    for _ in 0..5 {
        let mut client = Client::tls(appliance.ports.https);
        for _ in 0..5 {
            assert_eq!(ask(&mut client, "GET", ""), "hi");
            assert_eq!(ask(&mut client, "DELETE", ""), "hi");
        }
    }
    let recorded = stub.texts();
    // A client can be quicker with a new connection than the gate with putting the old one back.
    assert!(recorded.len() <= 5, "{} connections for 50 requests", recorded.len());
    assert_eq!(recorded.concat().matches("GET /v2/jobs HTTP/1.1\r\n").count(), 25);
}

#[test]
fn what_may_not_be_sent_twice_never_goes_on_a_connection_that_may_be_stale() {
    let stub = Stub::answering("hi");
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    let mut client = Client::tls(appliance.ports.https);
    for round in 1..=5 {
        ask(&mut client, "GET", "");
        ask(&mut client, "POST", "x");
        ask(&mut client, "PUT", "x");
        ask(&mut client, "PATCH", "");
        let recorded = stub.texts();
        for method in ["POST", "PUT", "PATCH"] {
            let first = recorded.iter().filter(|text| text.starts_with(method)).count();
            let all: usize =
                recorded.iter().map(|t| t.matches(&format!("{method} /v2")).count()).sum();
            assert_eq!((first, all), (round, round), "{method}: first on its connection each time");
        }
    }
}

#[test]
fn a_service_that_closes_an_idle_connection_costs_no_request() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    // One answer that promises more, then the close.
    let stub = Stub::start(move |visit| {
        visit.request();
        visit.say(ok("hi").as_bytes());
        count.fetch_add(1, Ordering::SeqCst);
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    let mut client = Client::tls(appliance.ports.https);
    // Some meet the connection still open and lose it under the request, some find it closed.
    for _ in 0..200 {
        assert_eq!(ask(&mut client, "GET", ""), "hi");
    }
    for round in 0..5 {
        let before = closed.load(Ordering::SeqCst);
        assert_eq!(ask(&mut client, "GET", ""), "hi");
        until(SOON, "the service has closed", || {
            (closed.load(Ordering::SeqCst) > before).then_some(())
        });
        assert_eq!(ask(&mut client, "POST", "x"), "hi", "round {round}");
    }
}

#[test]
fn a_restarted_service_is_found_again_without_an_error() {
    let stub = Stub::start(|visit| {
        while visit.request().is_some() {
            visit.say(ok("hi").as_bytes());
            if visit.number % 2 == 0 {
                visit.close_hard();
                return;
            }
        }
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    let mut client = Client::plain(appliance.ports.speech);
    for _ in 0..20 {
        assert_eq!(ask(&mut client, "GET", ""), "hi");
    }
}

#[test]
fn as_many_connections_are_kept_as_were_in_use_where_nobody_else_needs_the_descriptors() {
    const CLIENTS: usize = 40;
    // All of them are on their way at once.
    let together = Barrier::new(CLIENTS);
    let stub = Stub::start(move |visit| {
        while visit.head().is_some() {
            together.wait();
            visit.say(ok("good").as_bytes());
        }
    });
    let service = json!({"address": stub.address.to_string(), "paths": ["/x/"], "auth": "none"});
    let settings = Settings::v1().service("x", service);
    let appliance = Appliance::start_with_descriptors(256, &settings);
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|_| Client::plain(appliance.ports.http)).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send("GET /x/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer("GET").text(), "good");
        }
    }
    // As above, some may come before all are put back.
    let made = stub.recorded().len();
    assert!(made <= CLIENTS + CLIENTS / 2, "{made} connections for {CLIENTS} at once");
}
