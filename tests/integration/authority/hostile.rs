//! What strangers send to the open port.

use std::io::{Read, Write};
use std::net::TcpStream;

use applianced::protocol::message::{Kind, Op};
use applianced::protocol::wire;

use crate::authority::fixture::sell;
use crate::authority::machine::{Machine, NOW, exchange, post};
use crate::support::vendor::Vendor;

#[test]
fn strangers_get_a_status_and_nothing_more() {
    let mut vendor = Vendor::init();
    let address = vendor.serve();
    let post_head =
        |length: usize| format!("POST /v1/license HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
    for (bytes, wanted) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 200),
        ("GET /v1/license HTTP/1.1\r\n\r\n".to_owned(), 405),
        ("POST /v1/licence HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(), 404),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (post_head(65_537), 413),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)), 431),
        (post_head(0), 422),
        (format!("{}{{}}", post_head(2)), 422),
        (format!("{}{}", post_head(65_536), "[".repeat(65_536)), 422),
    ] {
        let (status, _) = exchange(address, bytes.as_bytes()).unwrap();
        assert_eq!(status, wanted, "{}", &bytes[..bytes.len().min(60)]);
    }
    let machine = Machine::new("494900000000000000", vendor.trust());
    let mut request = machine.request(Op::Sync);
    request.computer_id = "../../etc/passwd".to_owned();
    let sealed = wire::seal(&request, &machine.trust, NOW, &machine.device).unwrap();
    assert_eq!(post(address, &sealed.body).unwrap().0, 422);
    assert_eq!(vendor.stop().code(), Some(0));
}

#[test]
fn those_who_say_nothing_keep_nobody_waiting() {
    let mut vendor = Vendor::init();
    let code = sell(&vendor, &[]);
    let address = vendor.serve();
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"POST /v1/license HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let mut machine = Machine::new(&code, vendor.trust());
    assert_eq!(machine.ask(address, Op::Activate).kind, Kind::Lease);
    // They are sent away after ten seconds; this one is asked, the others went with it or before.
    let mut one = &silent[0];
    assert_eq!(one.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn every_request_ever_sent_can_be_sent_again_without_effect() {
    let mut vendor = Vendor::init();
    let code = sell(&vendor, &["--activations", "2"]);
    let address = vendor.serve();
    let mut captured = Vec::new();
    let mut machine = Machine::new(&code, vendor.trust());
    for op in [Op::Activate, Op::Sync, Op::Return, Op::Activate, Op::Sync] {
        machine.consumed += i64::from(op == Op::Sync) * 10;
        let request = machine.request(op);
        let sealed = wire::seal(&request, &machine.trust, NOW, &machine.device).unwrap();
        let (_, body) = post(address, &sealed.body).unwrap();
        machine.take_in(op, &sealed.opener.open(&body).unwrap());
        captured.push(sealed.body);
    }
    let before = vendor.show(&code);
    for body in captured.iter().chain(captured.iter().rev()) {
        assert_eq!(post(address, body).unwrap().0, 200);
        assert_eq!(vendor.show(&code), before);
    }
    assert_eq!(
        machine.ask(address, Op::Sync).kind,
        Kind::Lease,
        "and the appliance notices nothing"
    );
}
