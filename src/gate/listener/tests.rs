//! A provoked panic: the access log panics at one path. Rules that change while a password is hashed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Listeners;
use crate::config::Config;
use crate::gate::connection::Action;
use crate::gate::proxy::exchange::Buffers;
use crate::gate::{Bound, Gate};
use crate::license::Entitlement;
use crate::log::Log;
use crate::security::{Password, PasswordHash, Rules, SecuritySettings};
use crate::store::Scratch;
use crate::util::published::Published;

/// A gate on a free port, whose access log panics at `/boom`.
fn start(scratch: &Scratch) -> (SocketAddr, Arc<Mutex<String>>, Listeners) {
    let lines = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&lines);
    let log = Log::to(move |line| {
        assert!(!line.contains("path=/boom"), "provoked");
        sink.lock().unwrap().push_str(line);
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let gate = gate(scratch, log);
    let bound = Bound { listener, listen: gate.config.listen[0].clone() };
    (address, lines, Listeners::start(Arc::new(gate), vec![bound]).unwrap())
}

/// A gate with one listener of plain HTTP.
fn gate(scratch: &Scratch, log: Log) -> Gate {
    let listen = r#"{"listen": [{"address": "127.0.0.1:0", "serves": "all"}]}"#;
    let config = Arc::new(Config::parse(listen.as_bytes()).unwrap());
    let settings =
        SecuritySettings::open(&scratch.0.join("state"), config.api, Log::to(|_| {})).unwrap();
    let (rules, identity) = (Arc::clone(settings.rules()), Arc::clone(settings.identity()));
    let entitlement = Arc::new(Published::new(Entitlement::NONE));
    let socket = scratch.0.join("missing.sock");
    let inline_api = Box::new(|_: &crate::management::InlineRequest<'_>| None);
    Gate::new(config, &socket, inline_api, rules, identity, entitlement, log).unwrap()
}

fn rules(password: &str, plain_http: bool) -> Rules {
    let hash = bcrypt::hash_with_result(password, 4).unwrap();
    let line = format!("admin:{}", hash.format_for_version(bcrypt::Version::TwoY));
    Rules { plain_http, password: Password::Set(PasswordHash::from_file(line.as_bytes()).unwrap()) }
}

/// The first line of the response to a request with the password `old`, if other rules are published when its
/// password is to be hashed.
fn status_after(change: impl FnOnce(&Gate)) -> String {
    let scratch = Scratch::new();
    let gate = gate(&scratch, Log::to(|_| {}));
    gate.rules.publish(rules("old", true));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let authorization = format!("Authorization: Basic {}", BASE64_STANDARD.encode("admin:old"));
    write!(client, "GET /x HTTP/1.1\r\nHost: x\r\n{authorization}\r\n\r\n").unwrap();
    let (tcp, peer) = listener.accept().unwrap();
    tcp.set_nonblocking(true).unwrap();
    let (listen, mut buffers) = (&gate.config.listen[0], Buffers::default());
    let mut connection = gate.new_connection(tcp, peer, listen, None).unwrap();
    let mut change = Some(change);
    while let Action::Block(work) = gate.advance(&mut connection, listen, &mut buffers) {
        if let Some(change) = change.take() {
            change(&gate);
        }
        gate.run_work(&mut connection, work);
    }
    assert!(change.is_none(), "the password was hashed");
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    line
}

#[test]
fn rules_that_change_while_a_password_is_hashed_apply_to_its_request() {
    assert!(status_after(|_| {}).starts_with("HTTP/1.1 404 "), "admitted");
    let changed = status_after(|gate| gate.rules.publish(rules("new", true)));
    assert!(changed.starts_with("HTTP/1.1 401 "), "the password was changed: {changed}");
    let disabled = status_after(|gate| gate.rules.publish(rules("old", false)));
    assert_eq!(disabled, "", "plain HTTP was disabled, without a response");
}

/// The response on a new connection.
fn get(address: SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A closed connection may end in a reset.
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_panic_costs_one_connection_and_is_logged() {
    let scratch = Scratch::new();
    let (address, log, listeners) = start(&scratch);
    let mut neighbour = TcpStream::connect(address).unwrap();
    neighbour.write_all(b"GET /fine HTTP/1.1\r\nHo").unwrap();
    for _ in 0..20 {
        get(address, "/boom");
        assert!(get(address, "/fine").starts_with("HTTP/1.1 404"), "the next request is served");
    }
    let end = Instant::now() + Duration::from_secs(20);
    let logged =
        || log.lock().unwrap().matches("internal error (panic); connection closed").count();
    while logged() < 20 {
        assert!(Instant::now() < end, "{} of 20 were logged", logged());
        std::thread::sleep(Duration::from_millis(5));
    }
    neighbour.write_all(b"st: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    neighbour.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(listeners.drain(Instant::now() + Duration::from_secs(9)), 0, "no worker is lost");
}
