//! SIGTERM: newcomers go elsewhere, requests in work finish.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use applianced::protocol::message::{Kind, Op};
use applianced::protocol::wire;
use rustix::process::Signal;

use crate::authority::fixture::serving;
use crate::authority::machine::NOW;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

#[test]
fn a_request_in_progress_finishes_and_nobody_new_is_let_in() {
    let (mut vendor, _, machine) = serving(&[]);
    let address = vendor.address();
    let request = machine.request(Op::Activate);
    let sealed = wire::seal(&request, &machine.trust, NOW, &machine.device).unwrap();
    let (begin, end) = sealed.body.split_at(100);
    let mut slow = TcpStream::connect(address).unwrap();
    let head =
        format!("POST {} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", wire::PATH, sealed.body.len());
    slow.write_all(&[head.as_bytes(), begin].concat()).unwrap();
    let mut prober = TcpStream::connect(address).unwrap();
    prober.write_all(b"GET /healthz HT").unwrap();

    vendor.signal(Signal::TERM);
    until(SOON, "newcomers are refused", || TcpStream::connect(address).err());
    prober.write_all(b"TP/1.1\r\n\r\n").unwrap();
    let mut told = String::new();
    prober.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 ") && told.ends_with("\r\n\r\nstopping\n"), "{told}");

    slow.write_all(end).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert_eq!(sealed.opener.open(&answer[at + 4..]).unwrap().kind, Kind::Lease);
    assert_eq!(vendor.ended().code(), Some(0));
}

#[test]
fn connections_without_a_word_do_not_hold_up_a_stop_for_long() {
    let mut vendor = Vendor::new();
    let silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(vendor.address()).unwrap()).collect();
    let begun = std::time::Instant::now();
    assert_eq!(vendor.stop().code(), Some(0));
    let took = begun.elapsed();
    assert!(took.as_secs() < 9, "{took:?} is as long as a request may take");
    drop(silent);
}
