//! An upload through TLS whose last record is not what its sender made.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit};
use crate::support::tls::agree;
use crate::support::wait::{SOON, until};

/// More than one record, and less than the gate reads at once.
const SENT: usize = 20_000;

/// A record of application data (RFC 8446 section 5.2) that no key deciphers.
const BROKEN: &[u8] = b"\x17\x03\x03\x00\x20a record that nobody has sealed.";

#[test]
fn what_came_before_a_broken_record_reaches_the_service_and_the_connection_ends() {
    let stub = Stub::start(Visit::await_end);
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, appliance.ports.https)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut tls = agree(&mut socket).unwrap();
    let head = "POST /v2/jobs/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    tls.writer().write_all(head.as_bytes()).unwrap();
    tls.writer().write_all(&[b'a'; SENT]).unwrap();
    let mut sent = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut sent).unwrap();
    }
    sent.extend(BROKEN);
    socket.write_all(&sent).unwrap();

    until(SOON, "what was sent before it", || {
        stub.recorded().concat().ends_with(&[b'a'; SENT]).then_some(())
    });
    let end = socket.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(!matches!(end, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it stays open");
}
