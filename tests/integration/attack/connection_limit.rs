//! More connections than there may be.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::engine::Engine;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

/// There may be half as many connections, less those descriptors that are kept free.
const DESCRIPTORS: usize = 256;
const CROWD: usize = 400;

/// Long enough to see an end that is there.
const GLANCE: Duration = Duration::from_millis(1);

const REQUEST: &str = "GET /v1/management/ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn the_crowd_of_one_address_costs_no_client_of_another_its_connection() {
    let appliance = Appliance::start_with_descriptors(DESCRIPTORS, &Settings::v1());
    let [http, https] = [(appliance.ports.http, false), (appliance.ports.https, true)]
        .map(|(port, tls)| Listener { name: "", port, tls });
    // Who waits with nothing said, and who in the middle of a request.
    let mut others = vec![Client::at(https), Client::at(http), Client::at(https)];
    let (half, rest) = REQUEST.split_at(30);
    others.iter_mut().skip(1).for_each(|client| client.send(half));
    let stranger = Ipv4Addr::new(127, 0, 0, 9);
    let one = |_| Client::at_from(stranger, http).with_patience(GLANCE);
    let mut crowd: Vec<Client> = (0..CROWD).map(one).collect();
    // Each that comes now finds all places taken.
    others.extend((0..40).map(|_| Client::at(https)));
    for (number, client) in others.iter_mut().enumerate() {
        client.send(if matches!(number, 1 | 2) { rest } else { REQUEST });
        assert_eq!(client.answer("GET").status, 200, "client {number}");
    }
    // And there was a need to make room.
    let gone = until(SOON, "some of the crowd have gone", || {
        let gone = crowd.iter_mut().filter_map(|client| client.until_end().ok()).count();
        (gone > CROWD / 2).then_some(gone)
    });
    assert!(gone < CROWD, "more had to go than there was a need for");
}

#[test]
fn changes_that_never_end_leave_descriptors_for_others() {
    let engine = Engine::start();
    let settings = Settings::v1().speech(engine.address);
    let appliance = Appliance::start_with_descriptors(DESCRIPTORS, &settings);
    // Each that is on its way to the management API needs three beside its client's.
    let change = "POST /v1/security/adminpassword HTTP/1.1\r\nHost: x\r\n";
    let slow = |number| {
        let mut client = Client::plain(appliance.ports.http);
        let framing =
            if number % 2 == 0 { "Content-Length: 50000" } else { "Transfer-Encoding: chunked" };
        client.send(format!("{change}Expect: 100-continue\r\n{framing}\r\n\r\n"));
        client
    };
    let _slow: Vec<Client> = (0..DESCRIPTORS / 2).map(slow).collect();
    for _ in 0..10 {
        for url in [
            appliance.http("/v1/management/services"),
            appliance.https("/v1/management/license/network"),
            appliance.https("/v1.0/user/1/jobs/"),
        ] {
            let answer = appliance.read(&url);
            assert_eq!(answer.status, 200, "{url}: {answer:?}");
        }
    }
}
