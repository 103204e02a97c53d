//! A provoked panic: the access log panics at one path. Rules that change while a password is hashed. ACME
//! challenges, in `challenges`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Listeners;
use crate::config::Config;
use crate::gate::connection::work::HandlerRun;
use crate::gate::connection::{Action, Connection};
use crate::gate::proxy::exchange::Buffers;
use crate::gate::{Bound, Gate};
use crate::license;
use crate::log::Log;
use crate::management::{Context, NetworkApi};
use crate::security::{AcmeWorker, JobToken, Password, PasswordHash, Rules, SecuritySettings};
use crate::store::Scratch;

mod challenges;

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
    gate_of(r#"{"listen": [{"address": "127.0.0.1:0", "serves": "all"}]}"#, scratch, log)
}

fn gate_of(settings: &str, scratch: &Scratch, log: Log) -> Gate {
    let config = Arc::new(Config::parse(settings.as_bytes()).unwrap());
    let silent = Log::to(|_| {});
    let security = Arc::new(
        SecuritySettings::open(&scratch.0.join("state"), config.api, silent.clone()).unwrap(),
    );
    let machine = license::Machine::default();
    let license = license::start(&config, security.folder(), &machine, &silent).unwrap();
    let management = NetworkApi::new(Context {
        config: Arc::clone(&config),
        acme: AcmeWorker::new(Arc::clone(&security), || Ok(None), true, silent.clone()),
        security: Arc::clone(&security),
        license: license.clone(),
        log: silent,
        monitor: Arc::default(),
        metrics: Arc::default(),
        readiness: Arc::default(),
        helper: Arc::default(),
        network: None,
        running: Arc::default(),
    });
    let (rules, identity) = (Arc::clone(security.rules()), Arc::clone(security.identity()));
    let challenges = Arc::clone(security.challenges());
    let entitlement = Arc::clone(license.entitlement());
    Gate::new(config, management, rules, identity, challenges, entitlement, log).unwrap()
}

fn rules(password: &str, plain_http: bool) -> Rules {
    let hash = bcrypt::hash_with_result(password, 4).unwrap();
    let line = format!("admin:{}", hash.format_for_version(bcrypt::Version::TwoY));
    let password = Password::Set(PasswordHash::from_file(line.as_bytes()).unwrap());
    Rules { plain_http, password, job_token: JobToken::Unset }
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

/// The first line of the response to a change of the password, if `end` happens to its handler's call.
fn status_of_call(end: impl FnOnce(&Gate, &mut Connection, Box<HandlerRun>)) -> String {
    let scratch = Scratch::new();
    let gate = gate(&scratch, Log::to(|_| {}));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (path, body) = ("/v1/security/insecureports", r#"{"enable_insecure_ports": true}"#);
    write!(
        client,
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let (tcp, peer) = listener.accept().unwrap();
    tcp.set_nonblocking(true).unwrap();
    let (listen, mut buffers) = (&gate.config.listen[0], Buffers::default());
    let mut connection = gate.new_connection(tcp, peer, listen, None).unwrap();
    let Action::Call(run) = gate.advance(&mut connection, listen, &mut buffers) else {
        panic!("no call")
    };
    let waits = matches!(gate.advance(&mut connection, listen, &mut buffers), Action::Wait);
    assert!(waits, "without a response there is nothing to do");
    end(&gate, &mut connection, run);
    let _ = gate.advance(&mut connection, listen, &mut buffers);
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_handler_that_takes_too_long_is_a_504_and_one_without_a_thread_a_503() {
    let called = status_of_call(|gate, _, run| run.run(gate));
    assert!(called.starts_with("HTTP/1.1 200 "), "{called}");
    let late = status_of_call(|gate, connection, run| {
        let _ = gate.expire(connection, &gate.config.listen[0], &mut Buffers::default());
        run.run(gate);
    });
    assert!(late.starts_with("HTTP/1.1 504 "), "{late}");
    let busy = status_of_call(|_, _, run| drop(run));
    assert!(busy.starts_with("HTTP/1.1 503 "), "{busy}");
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
