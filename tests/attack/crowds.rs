//! More connections than there may be.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Door};
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

/// There may be two thirds of 256 connections, less those descriptors that are kept free.
const DESCRIPTORS: usize = 256;
const CROWD: usize = 400;

/// Long enough to see an end that is there.
const GLANCE: Duration = Duration::from_millis(1);

const REQUEST: &str = "GET /v1/management/ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn the_crowd_of_one_address_costs_no_client_of_another_its_connection() {
    let appliance = Appliance::start_with_descriptors(DESCRIPTORS, &Settings::v1());
    let [http, https] = [(appliance.ports.http, false), (appliance.ports.https, true)]
        .map(|(port, tls)| Door { name: "", port, tls });
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
