//! More connections than there are places: those for whom nobody works make room.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use applianced::protocol::message::{Kind, Op};

use crate::authority::fixture::serving;
use crate::authority::machine::exchange;
use crate::support::wait::{SOON, until};

/// So many connections that send `words` and then nothing.
fn crowd(address: std::net::SocketAddr, count: usize, words: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        // The server may have closed it already, for the next one.
        let _ = stream.write_all(words);
        stream
    };
    (0..count).map(connect).collect()
}

#[test]
fn two_thousand_silent_connections_of_one_address_keep_nobody_out() {
    let (vendor, _, mut machine) = serving(&[]);
    let address = vendor.address();
    for words in [&b""[..], b"POST /v1/license HTTP/1.1\r\nContent-Length: 9\r\n\r\n"] {
        let silent = crowd(address, 2_100, words);
        let begun = std::time::Instant::now();
        let op = if machine.granted == 0 { Op::Activate } else { Op::Sync };
        assert_eq!(machine.ask(address, op).kind, Kind::Lease);
        assert!(begun.elapsed().as_secs() < 9, "it waited until they had timed out");
        let (_, page) = exchange(address, b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let page = String::from_utf8(page).unwrap();
        let open =
            page.lines().find_map(|line| line.strip_prefix("license_authority_connections "));
        let open: usize = open.unwrap().parse().unwrap();
        assert!(open <= 250, "{open} are open of one address");
        drop(silent);
    }
}

#[test]
fn the_oldest_makes_room_and_hears_of_it_at_once() {
    let (vendor, ..) = serving(&[]);
    let address = vendor.address();
    let mut first = TcpStream::connect(address).unwrap();
    first.set_read_timeout(Some(SOON)).unwrap();
    let rest = crowd(address, 300, b"");
    let begun = std::time::Instant::now();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    assert!(begun.elapsed().as_secs() < 9, "{:?}", begun.elapsed());
    let (_, page) = until(SOON, "the page is read", || {
        exchange(address, b"GET /metrics HTTP/1.1\r\n\r\n").ok()
    });
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("license_authority_connections_refused_total{limit=\"address\"} 0"));
    drop(rest);
}

#[test]
fn a_trusted_proxy_may_have_more_connections_than_an_address() {
    let (mut vendor, ..) = crate::authority::fixture::fixture(&[]);
    let address = vendor.serve_with(&["--trusted-proxy", "127.0.0.0/8"]);
    let waiting = crowd(address, 600, b"");
    let (_, page) = exchange(address, b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.lines().any(|line| line == "license_authority_connections 601"), "{page}");
    drop(waiting);
}
