//! Services that fall silent: a deadline that the settings name, never a hang.

use std::time::Duration;

use serde_json::json;

use crate::speech::fixture::listeners;
use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit, ok};
use crate::support::wait::until;

/// Far longer than the second that the service gets, far shorter than the five minutes of the default.
const PATIENCE: Duration = Duration::from_secs(30);

/// An appliance whose speech service has a second, plays `part` to `/v2/jobs/bad` and answers the rest.
fn with_a_second(
    part: impl Fn(&mut Visit) + Send + Sync + 'static,
) -> (Stub, Appliance, [Listener; 2]) {
    let stub = Stub::start(move |visit| {
        while let Some((head, _)) = visit.request() {
            if head.contains(" /v2/jobs/bad") {
                return part(visit);
            }
            visit.say(ok("good").as_bytes());
        }
    });
    let speech = json!({"address": stub.address.to_string(), "timeout": 1});
    let appliance = Appliance::start(&Settings::both().service("speech", speech));
    let listeners = listeners(&appliance);
    (stub, appliance, listeners)
}

fn is_served(client: &mut Client) {
    client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.answer("GET").text(), "good");
}

#[test]
fn a_service_that_never_answers_is_a_504_and_the_connection_goes_on() {
    let (_stub, _appliance, listeners) = with_a_second(Visit::await_end);
    for listener in listeners {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = client.answer("GET");
        assert_eq!(answer.status, 504, "{listener:?}: {answer:?}");
        assert!(answer.text().contains("did not respond in time"), "{answer:?}");
        is_served(&mut client);
    }
}

#[test]
fn a_service_that_never_asks_for_an_announced_upload_is_a_504() {
    let stub = Stub::start(|visit| while visit.head().is_some() {});
    let speech = json!({"address": stub.address.to_string(), "timeout": 1});
    let appliance = Appliance::start(&Settings::both().service("speech", speech));
    for mut client in [Client::plain(appliance.ports.speech), Client::tls(appliance.ports.https)] {
        client.send(
            "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        );
        let answer = client.with_patience(PATIENCE).answer("POST");
        assert_eq!(answer.status, 504, "{answer:?}");
    }
}

#[test]
fn a_service_that_never_answers_an_upload_is_a_504_and_nothing_follows_it() {
    let (_stub, _appliance, listeners) = with_a_second(Visit::await_end);
    for listener in listeners {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client
            .send("POST /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.answer("POST").status, 504, "{listener:?}");
        assert_eq!(client.until_end().unwrap(), b"", "{listener:?}");
        is_served(&mut Client::at(listener));
    }
}

#[test]
fn a_service_that_falls_silent_in_its_answer_is_cut_so_that_the_client_notices() {
    let (_stub, _appliance, listeners) = with_a_second(|visit| {
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        visit.await_end();
    });
    for listener in listeners {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let cut = client.try_answer("GET").expect_err("half an answer is none");
        assert_ne!(cut.kind(), std::io::ErrorKind::WouldBlock, "{listener:?}: it hangs");
        is_served(&mut Client::at(listener));
    }
}

#[test]
fn a_service_that_takes_no_more_of_an_upload_is_a_504() {
    // More than all sockets on the way together hold, so that the gate has to wait for the service.
    const UPLOAD: usize = 24 << 20;
    let stub = Stub::start(|visit| {
        visit.head();
        until(PATIENCE, "the gate has gone", || visit.gate_has_gone().then_some(()));
    });
    let speech = json!({"address": stub.address.to_string(), "timeout": 1});
    let appliance = Appliance::start(&Settings::both().service("speech", speech));
    let mut client = Client::plain(appliance.ports.speech).with_patience(PATIENCE);
    client.send(format!(
        "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n\r\n"
    ));
    client.send(vec![b'x'; UPLOAD]);
    assert_eq!(client.answer("POST").status, 504);
}
