#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{ErrorKind, LARGEST, Route, TOTAL};
use crate::license::client::proxy::Proxy;

/// A proxy or service that gives a scripted answer to each connection, and records the requests.
struct Scripted {
    port: u16,
    asked: Receiver<String>,
}

impl Scripted {
    fn new(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Scripted {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let request = read(&mut connection);
                let _ = tell.send(request.clone());
                answer(&request, &mut connection);
            }
        });
        Scripted { port, asked }
    }

    fn saying(answer: impl Into<Vec<u8>>) -> Scripted {
        let answer = answer.into();
        Scripted::new(move |_, connection| {
            let _ = connection.write_all(&answer);
        })
    }

    fn as_proxy(&self) -> Route {
        let body = json!({"http_configuration": {"ip": "127.0.0.1", "port": self.port}});
        route(Proxy::from_body(body, None).unwrap())
    }
}

/// A route to a name that no resolver knows (RFC 6761 section 6.4).
fn route(proxy: Option<Proxy>) -> Route {
    Route { authority_url: "http://license.invalid/".to_owned(), proxy }
}

/// Head and body of one request.
pub(crate) fn read(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned)
                })
                .find_map(|value| value.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match connection.read(&mut bytes) {
            Ok(0) | Err(_) => return text,
            Ok(n) => request.extend_from_slice(&bytes[..n]),
        }
    }
}

fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn ours() -> String {
    http("200 OK", "application/json", r#"{"v":1,"ct":"x"}"#)
}

#[test]
fn a_proxy_is_asked_with_the_whole_url_and_never_to_connect() {
    let proxy = Scripted::new(|request, connection| {
        let answer = if request.starts_with("CONNECT") {
            http("403 Forbidden", "text/html", "<html>only to port 443</html>")
        } else {
            ours()
        };
        let _ = connection.write_all(answer.as_bytes());
    });
    let reply = proxy.as_proxy().ask(b"{\"v\":1}", TOTAL).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, br#"{"v":1,"ct":"x"}"#.as_slice()));
    let asked = proxy.asked.recv().unwrap();
    assert!(asked.starts_with("POST http://license.invalid/v1/license HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("host: license.invalid\r\n"), "{asked}");
    assert!(!asked.to_lowercase().contains("proxy-authorization"), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"v\":1}"), "{asked}");
}

#[test]
fn credentials_of_any_characters_reach_the_proxy_and_no_error() {
    let proxy = Scripted::new(|request, connection| {
        let fits = request.contains("Basic YSB1c2VyOnBAc3M6dyVyZA==\r\n");
        let refusal = http("407 Proxy Authentication Required", "text/html", "<html>");
        let _ = connection.write_all(if fits { ours() } else { refusal }.as_bytes());
    });
    let settings = |password: &str| json!({"http_configuration": {"ip": "127.0.0.1", "port": proxy.port.to_string(), "user": "a user", "password": password}});
    let with = |password| route(Proxy::from_body(settings(password), None).unwrap());
    assert_eq!(with("p@ss:w%rd").ask(b"{}", TOTAL).unwrap().status, 200);
    let error = with("geheim").ask(b"{}", TOTAL).unwrap_err();
    assert_eq!((error.kind, error.maybe_delivered), (ErrorKind::ProxyAuth, true));
    assert!(error.message.contains("407") && !error.message.contains("geheim"), "{error:?}");
    let error = proxy.as_proxy().ask(b"{}", TOTAL).unwrap_err();
    assert!(error.message.contains("requires a user name and password (407)"), "{error:?}");
}

#[test]
fn a_401_is_of_the_proxy_where_there_is_one() {
    let refusing = Scripted::saying(http("401 Unauthorized", "text/html", "<html>"));
    let error = refusing.as_proxy().ask(b"{}", TOTAL).unwrap_err();
    assert_eq!((error.kind, error.maybe_delivered), (ErrorKind::ProxyAuth, true));
    assert!(error.message.contains("(401)"), "{error:?}");
    let url = format!("http://127.0.0.1:{}/", refusing.port);
    let error = Route { authority_url: url, proxy: None }.ask(b"{}", TOTAL).unwrap_err();
    assert_eq!(error.kind, ErrorKind::WrongServer);
}

#[test]
fn whatever_is_not_the_service_is_named_and_nothing_is_followed() {
    let page = "<!DOCTYPE html><html>Sign in to the guest network</html>";
    for (answer, words) in [
        (http("200 OK", "text/html", page), "answered with a web page (HTTP 200)"),
        (
            http("302 Found\r\nLocation: http://127.0.0.1:1/", "text/html", ""),
            "answered with HTTP 302",
        ),
        (http("503 Service Unavailable", "text/plain", "no"), "answered with HTTP 503"),
        (http("200 OK", "application/json", "{}"), "answered with HTTP 200"),
        (http("200 OK", "application/json", "[1,"), "answered with HTTP 200"),
        ("SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "does not speak HTTP"),
        (http("200 OK", "text/plain", &"x".repeat(1 << 20)), "more than 65536 bytes"),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)), "does not speak HTTP"),
    ] {
        let proxy = Scripted::saying(answer);
        let error = proxy.as_proxy().ask(b"{}", TOTAL).unwrap_err();
        assert_eq!(error.kind, ErrorKind::WrongServer, "{error:?}");
        assert!(error.message.contains(words), "{words}: {error:?}");
        assert!(error.maybe_delivered, "{error:?}");
    }
    assert_eq!(LARGEST, 65_536);
}

#[test]
fn a_connection_that_breaks_leaves_doubt_and_one_that_never_stood_does_not() {
    let hanging_up = Scripted::saying("");
    let error = hanging_up.as_proxy().ask(b"{}", TOTAL).unwrap_err();
    assert!(error.maybe_delivered, "{error:?}");

    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let body = json!({"http_configuration": {"ip": "127.0.0.1", "port": gone.port()}});
    let error = route(Proxy::from_body(body, None).unwrap()).ask(b"{}", TOTAL).unwrap_err();
    assert_eq!((error.kind, error.maybe_delivered), (ErrorKind::Connect, false));
    let shown = format!("the proxy 127.0.0.1:{} can't be reached", gone.port());
    assert!(error.message.contains(&shown), "{error:?}");

    let error = route(None).ask(b"{}", TOTAL).unwrap_err();
    assert_eq!((error.kind, error.maybe_delivered), (ErrorKind::Resolve, false));
    assert!(error.message.contains("license.invalid"), "{error:?}");
}

#[test]
fn without_a_proxy_the_service_is_asked_for_its_path() {
    let service = Scripted::saying(ours());
    let url = format!("http://127.0.0.1:{}/below/", service.port);
    Route { authority_url: url, proxy: None }.ask(b"{}", TOTAL).unwrap();
    assert!(service.asked.recv().unwrap().starts_with("POST /below/v1/license HTTP/1.1\r\n"));
}

#[test]
fn who_answers_a_byte_at_a_time_or_never_is_not_waited_for_longer_than_the_budget() {
    let budget = Duration::from_millis(300);
    let limit = Duration::from_secs(20); // each of them would go on for far longer
    for drips in ["", "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", "HTTP/1.1 200 OK\r\nX: "]
    {
        let dripping = Scripted::new(move |_, connection| {
            let _ = connection.write_all(drips.as_bytes());
            while drips.is_empty() || connection.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let begin = Instant::now();
        let error = dripping.as_proxy().ask(b"{}", budget).unwrap_err();
        assert!(begin.elapsed() < limit, "{drips:?}");
        assert_eq!(
            (error.kind, error.maybe_delivered),
            (ErrorKind::Interrupted, true),
            "{error:?}"
        );
        assert!(error.message.contains("took too long"), "{error:?}");
    }
}
