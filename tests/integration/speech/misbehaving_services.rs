//! Services that break the protocol: a status that fits or a cut connection, never a wrong body, and
//! the next request is served.

use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::speech::fixture::{fixture, listeners};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::{Settings, free_port};
use crate::support::stub::{Stub, Visit, ok};
use crate::support::wait::{SOON, until};

/// How long a client waits for an answer that never comes, which happens in failures only.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the client sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    BadGateway,
    /// The head has gone out, so that nothing is left but to cut.
    Cut,
}

use Seen::{BadGateway, Cut};

/// A service that plays `part` to requests below `/v2/jobs/bad` and hangs up; it behaves otherwise.
fn playing(part: impl Fn(&mut Visit, &str) + Send + Sync + 'static) -> (Stub, Appliance) {
    fixture(move |visit| {
        while let Some((head, _)) = visit.request() {
            if head.contains(" /v2/jobs/bad") {
                return part(visit, &head);
            }
            visit.say(ok("good").as_bytes());
        }
    })
}

fn is_served(appliance: &Appliance) {
    for listener in listeners(appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer("GET").text(), "good", "{listener:?}");
    }
}

#[test]
fn answers_that_could_be_read_differently_never_become_an_answer_of_ours() {
    let rows: Vec<(&str, Vec<u8>, Seen)> = vec![
        ("nothing", vec![], BadGateway),
        ("garbage", b"\x16\x03\x01garbage\r\n\r\n".to_vec(), BadGateway),
        ("a line of words", b"hello\r\n\r\n".to_vec(), BadGateway),
        ("a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), BadGateway),
        ("HTTP/2", b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("another protocol", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a status of 99", b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), BadGateway),
        ("lines that end in LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi".to_vec(), BadGateway),
        ("a CR in a value", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a folded value", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a space before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi".to_vec(), BadGateway),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi".to_vec(), BadGateway),
        ("the same length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi".to_vec(), BadGateway),
        ("a length with a sign", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi".to_vec(), BadGateway),
        ("length and chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(), BadGateway),
        ("gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(), BadGateway),
        ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(), BadGateway),
        ("identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi".to_vec(), BadGateway),
        ("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_vec(), BadGateway),
        ("101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(), BadGateway),
        ("200 fields", [&b"HTTP/1.1 200 OK\r\n"[..], &b"A: b\r\n".repeat(200), b"\r\n"].concat(), BadGateway),
        ("a head of 100 KB", [&b"HTTP/1.1 200 OK\r\nA: "[..], &b"b".repeat(100_000), b"\r\n\r\n"].concat(), BadGateway),
        ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec(), Cut),
        ("half a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf".to_vec(), Cut),
        ("no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec(), Cut),
        ("no end of the trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y\r\n".to_vec(), Cut),
    ];
    let said: Vec<Vec<u8>> = rows.iter().map(|(_, words, _)| words.clone()).collect();
    let (_stub, appliance) = playing(move |visit, head| {
        let number = head.split(' ').nth(1).and_then(|path| path.rsplit('/').next()?.parse().ok());
        visit.say(&said[number.unwrap_or(0_usize)]);
    });
    let mut faults = Vec::new();
    for (number, (name, _, expected)) in rows.iter().enumerate() {
        for listener in listeners(&appliance) {
            for version in ["HTTP/1.1", "HTTP/1.0"] {
                let mut client = Client::at(listener).with_patience(PATIENCE);
                client.send(format!(
                    "GET /v2/jobs/bad/{number} {version}\r\nHost: localhost\r\n\r\n"
                ));
                let answer = client.try_answer("GET");
                let fits = match &answer {
                    Ok(answer) => {
                        let closes = answer.field("connection") == Some("close");
                        let should = version == "HTTP/1.0";
                        *expected == BadGateway && answer.status == 502 && closes == should
                    }
                    Err(e) => *expected == Cut && was_cut(e),
                };
                if !fits {
                    faults.push(format!("{name}, {version}, {}: {answer:?}", listener.name));
                }
            }
        }
        is_served(&appliance);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// True for an end that no client takes for the end of an answer: a reset, or TLS without its goodbye.
fn was_cut(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

#[test]
fn a_chunk_fault_in_the_middle_of_an_answer_cuts_it() {
    let stub = Stub::start(|visit| {
        visit.head();
        visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n");
        visit.bytes(1); // the client has that much
        visit.say(b"0x4\r\nevil\r\n0\r\n\r\n");
        visit.await_end();
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n");
        client.head();
        assert_eq!(client.bytes(9).unwrap(), b"4\r\ngood\r\n", "{listener:?}");
        client.send("x");
        let rest = client.until_end();
        assert!(rest.as_ref().is_err_and(was_cut), "{listener:?}: {rest:?}");
    }
}

#[test]
fn a_service_that_resets_its_connection_is_a_bad_gateway() {
    let (_stub, appliance) = playing(|visit, _| visit.close_hard());
    for listener in listeners(&appliance) {
        for method in ["GET", "POST"] {
            let mut client = Client::at(listener).with_patience(PATIENCE);
            client.send(format!("{method} /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(client.answer(method).status, 502, "{listener:?}");
        }
    }
    is_served(&appliance);
}

#[test]
fn a_service_that_is_not_there_is_a_bad_gateway_until_it_is() {
    let port = free_port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let appliance = Appliance::start(&Settings::both().speech(address));
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        for _ in 0..2 {
            client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let answer = client.answer("GET");
            assert_eq!(answer.status, 502, "{listener:?}");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["code"], 502, "{listener:?}: {body}");
        }
        // A body that nobody wanted is not taken for the next request.
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 39\r\n\r\nGET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer("POST").status, 502, "{listener:?}");
        assert_eq!(client.until_end().unwrap(), b"", "{listener:?}");
    }
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().flatten() {
            let mut head = [0; 4 << 10];
            let _ = std::io::Read::read(&mut tcp, &mut head);
            let _ = tcp.write_all(ok("good").as_bytes());
        }
    });
    is_served(&appliance);
}

/// Neither a name server nor `/etc/hosts` has to know it.
#[test]
fn a_service_on_localhost_or_below_it_is_on_this_machine() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        // A machine may have no IPv6.
        let Ok(listener) = TcpListener::bind((ip, 0)) else { continue };
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut tcp in listener.incoming().flatten() {
                let mut head = [0; 4 << 10];
                let _ = std::io::Read::read(&mut tcp, &mut head);
                let _ = tcp.write_all(ok("good").as_bytes());
            }
        });
        for host in ["localhost", "engine.localhost"] {
            let address = json!({"address": format!("{host}:{port}")});
            let appliance = Appliance::start(&Settings::both().service("speech", address));
            is_served(&appliance);
            let shown = appliance.read(&appliance.http("/v1/management/services")).ok();
            assert!(shown.out.contains(r#""service": "speech", "status": "running""#), "{shown:?}");
        }
    }
}

#[test]
fn a_head_of_100_megabytes_is_given_up_and_costs_no_memory() {
    let (_stub, appliance) = playing(|visit, _| {
        visit.say(b"HTTP/1.1 200 OK\r\n");
        let line = [&b"X: "[..], &b"y".repeat(50_000), b"\r\n"].concat();
        for _ in 0..2_000 {
            if !visit.say(&line) {
                return;
            }
        }
    });
    let before = appliance.memory("VmRSS");
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer("GET").status, 502, "{listener:?}");
    }
    assert!(appliance.memory("VmHWM") < before + 4_096, "{} KiB", appliance.memory("VmHWM"));
    is_served(&appliance);
}

#[test]
fn bytes_behind_an_answer_are_never_the_answer_to_the_next_request() {
    let evil = ok("evil");
    for delayed in [false, true] {
        let (evil, said) = (evil.clone(), Arc::new(AtomicUsize::new(0)));
        let counts = Arc::clone(&said);
        let stub = Stub::start(move |visit| {
            while visit.request().is_some() {
                let good = ok("good");
                if delayed {
                    visit.say(good.as_bytes());
                    visit.say(evil.as_bytes());
                } else {
                    visit.say(format!("{good}{evil}").as_bytes());
                }
                counts.fetch_add(1, Ordering::SeqCst);
            }
        });
        let appliance = Appliance::start(&Settings::both().speech(stub.address));
        let mut asked = 0;
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener).with_patience(PATIENCE);
            for _ in 0..10 {
                client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
                assert_eq!(client.answer("GET").text(), "good", "{listener:?} {delayed}");
                // What came too late to be seen with the answer is seen once it has arrived. (Behind the
                // next request nobody could tell it from the answer to that.)
                asked += 1;
                until(PATIENCE, "the service has said it", || {
                    (said.load(Ordering::SeqCst) >= asked).then_some(())
                });
            }
        }
    }
}

#[test]
fn bytes_behind_an_answer_without_a_body_are_thrown_away() {
    for (method, status) in
        [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
    {
        let stub = Stub::start(move |visit| {
            while visit.request().is_some() {
                let evil = ok("evil");
                visit.say(
                    format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\n{evil}").as_bytes(),
                );
            }
        });
        let appliance = Appliance::start(&Settings::both().speech(stub.address));
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener).with_patience(PATIENCE);
            for _ in 0..5 {
                client.send(format!("{method} /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"));
                let answer = client.answer(method);
                assert!(answer.head.starts_with(&format!("HTTP/1.1 {status}")), "{answer:?}");
            }
            client.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            assert_eq!(client.answer("GET").status, 404);
            assert_eq!(client.until_end().unwrap(), b"");
        }
    }
}

#[test]
fn a_client_that_leaves_while_the_service_hangs_takes_the_service_connection_with_it() {
    let (stub, appliance) = playing(|visit, _| {
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        visit.await_end();
    });
    for listener in listeners(&appliance) {
        let known = appliance.log().len();
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/bad HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.head();
        assert_eq!(client.bytes(4).unwrap(), b"part", "{listener:?}");
        is_served(&appliance);
        client.vanish();
        until(SOON, "the gate notices", || {
            appliance.log()[known..].contains("the client disconnected").then_some(())
        });
    }
    drop(stub);
}
