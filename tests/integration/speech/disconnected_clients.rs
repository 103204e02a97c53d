//! Clients that go while a service does not answer, and what a service that hangs costs those of others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::speech::websocket::{SWITCH, echo, upgrade};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit, field, ok};
use crate::support::wait::{SOON, until};

const DESCRIPTORS: usize = 512;

/// More than there are places for one service, and fewer than there may be connections: see `limits`.
const CLIENTS: usize = 130;

const HUNG: &str = "GET /v2/jobs/hung HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A speech engine that never answers `/v2/jobs/hung`, and how many have asked it for that and are not told
/// to be gone.
struct Fixture {
    appliance: Appliance,
    waiting: Arc<AtomicUsize>,
    _stubs: [Stub; 2],
}

fn fixture() -> Fixture {
    let waiting = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waiting);
    let engine = Stub::start(move |visit| {
        while let Some(head) = visit.head() {
            if head.contains(" /v2/jobs/hung") {
                counted.fetch_add(1, Ordering::SeqCst);
                visit.await_end();
                counted.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            visit.say(ok("good").as_bytes());
        }
    });
    let other = Stub::start(well);
    let x = json!({
        "address": other.address.to_string(), "paths": ["/x/"], "auth": "none", "websocket": true
    });
    let settings = Settings::both().speech(engine.address).service("x", x);
    let appliance = Appliance::start_with_descriptors(DESCRIPTORS, &settings);
    Fixture { appliance, waiting, _stubs: [engine, other] }
}

fn well(visit: &mut Visit) {
    while let Some(head) = visit.head() {
        if field(&head, "upgrade").is_some() {
            visit.say(SWITCH);
            return echo(visit);
        }
        visit.say(ok("good").as_bytes());
    }
}

impl Fixture {
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The status of one request.
    fn status(&self, path: &str) -> u16 {
        let mut client = Client::plain(self.appliance.ports.http);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        client.answer("GET").status
    }

    /// Requests and WebSockets to the other service get in.
    fn others_are_served(&self) {
        assert_eq!(self.status("/x/a"), 200);
        let mut client = Client::plain(self.appliance.ports.http);
        client.send(upgrade("/x/ws"));
        assert!(client.head().starts_with("HTTP/1.1 101"));
        client.send("x");
        assert_eq!(client.bytes(1).unwrap(), b"x");
    }
}

#[test]
fn a_service_that_hangs_costs_its_own_clients_alone_and_they_are_told_which_it_is() {
    let fixture = fixture();
    let ask = |_| {
        let mut client = Client::plain(fixture.appliance.ports.http);
        client.send(HUNG);
        client
    };
    let mut clients: Vec<Client> = (0..CLIENTS).map(ask).collect();
    let refused = clients.last_mut().unwrap().answer("GET");
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")), "{refused:?}");
    assert!(refused.text().contains("speech is busy with 112 requests"), "{refused:?}");
    fixture.others_are_served();
}

/// A port with no room for a connection more, where a SYN is not answered; and those that fill it.
fn swallowing() -> (TcpListener, Vec<TcpStream>) {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&full, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    listen(&full, 0).unwrap();
    let full = TcpListener::from(full);
    let address = full.local_addr().unwrap();
    let glance = Duration::from_millis(50);
    let inside = std::iter::from_fn(|| TcpStream::connect_timeout(&address, glance).ok()).collect();
    (full, inside)
}

#[test]
fn a_service_that_cannot_be_reached_leaves_threads_to_find_others() {
    // More than there are threads that may wait.
    const CLIENTS: usize = 600;
    let (silent, _inside) = swallowing();
    let address = silent.local_addr().unwrap().to_string();
    let x = json!({"address": address, "paths": ["/x/"], "auth": "none"});
    // One with a name is looked up, which takes a thread.
    let well = Stub::answering("good");
    let address = format!("localhost:{}", well.address.port());
    let y = json!({"address": address, "paths": ["/y/"], "auth": "none"});
    let appliance = Appliance::start(&Settings::both().service("x", x).service("y", y));
    let ask = |_| {
        let mut client = Client::plain(appliance.ports.http);
        client.send("GET /x/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client
    };
    let mut clients: Vec<Client> = (0..CLIENTS).map(ask).collect();
    let refused = clients.last_mut().unwrap().answer("GET");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.text().contains("x is busy with "), "{refused:?}");
    let mut client = Client::plain(appliance.ports.http);
    client.send("GET /y/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn clients_that_have_gone_make_room_before_anybody_is_turned_away() {
    let fixture = fixture();
    // Those who wait are not sent away for those who do not.
    let mut patient = Client::plain(fixture.appliance.ports.http);
    patient.send(HUNG);
    for _ in 0..3 * CLIENTS {
        let mut client = Client::plain(fixture.appliance.ports.http);
        client.send(HUNG);
        client.break_off();
    }
    assert_eq!(fixture.status("/v2/jobs/7"), 200);
    fixture.others_are_served();
    let mut looks = patient.with_patience(Duration::from_millis(50));
    let silent = looks.until_end().expect_err("who waits has been sent away");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock, "{silent}");
}

#[test]
fn impatient_polls_of_an_engine_that_hangs_leave_it_and_others_places() {
    let fixture = fixture();
    let url = fixture.appliance.http("/v2/jobs/hung");
    let poll = format!("seq {CLIENTS} | xargs -P 8 -I{{}} curl -s -m 0.02 {url}; true");
    assert!(Command::new("sh").args(["-c", &poll]).status().unwrap().success());
    fixture.others_are_served();
    assert_eq!(fixture.status("/v2/jobs/7"), 200);
}

#[test]
fn a_tls_client_that_ends_without_saying_so_has_gone_and_its_service_is_told() {
    let fixture = fixture();
    let https = || Client::tls(fixture.appliance.ports.https);
    // One that waits, one that has asked for more, one whose first request is answered already.
    let mut clients = [https(), https(), https()];
    clients[0].send(HUNG);
    clients[1].send(HUNG.repeat(3));
    clients[2].send(HUNG.replace("/hung", ""));
    assert_eq!(clients[2].answer("GET").text(), "good");
    clients[2].send(HUNG);
    until(SOON, "all wait", || (fixture.waiting() == 3).then_some(()));
    clients.iter_mut().for_each(Client::break_off);
    until(SOON, "the service is told of each", || (fixture.waiting() == 0).then_some(()));
}

#[test]
fn clients_that_say_no_more_in_good_order_have_their_answers_all_the_same() {
    let waits = Arc::new(AtomicUsize::new(0));
    let finished = Arc::clone(&waits);
    let stub = Stub::start(move |visit| {
        while visit.head().is_some() {
            until(SOON, "its client has finished", || {
                (finished.load(Ordering::SeqCst) > 0).then_some(())
            });
            visit.say(ok("late").as_bytes());
        }
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    for mut client in [Client::plain(appliance.ports.http), Client::tls(appliance.ports.https)] {
        waits.store(0, Ordering::SeqCst);
        client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.finish();
        waits.store(1, Ordering::SeqCst);
        assert_eq!(client.answer("GET").text(), "late");
        assert_eq!(client.until_end().unwrap(), b"");
    }
}
