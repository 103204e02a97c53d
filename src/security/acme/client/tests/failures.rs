//! What is said when it does not work.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::{AccountKey, AcmeError, Client, Server};
use super::authority::{self, Authority, http};
use super::{directory, say};

fn refused(authority: &Authority) -> AcmeError {
    let directory = authority.directory();
    Client::connect(&authority.server(&directory)).map(drop).unwrap_err()
}

/// Tells `words` to whoever asks for the directory.
fn saying(words: impl Into<String>) -> Authority {
    let words = words.into();
    Authority::new(move |_, _, to| {
        let _ = to.write_all(words.as_bytes());
    })
}

#[test]
fn the_reasons_of_the_authority_and_its_wish_to_wait_are_passed_on() {
    let authority = Authority::new(|base, asked, to| match asked.line.as_str() {
        "GET /directory" => say(to, "200 OK", "Replay-Nonce: n\r\n", &directory(base)),
        _ => {
            let kind = "urn:ietf:params:acme:error:rateLimited";
            let problem = json!({"type": kind, "detail": "too many\u{7}\naccounts", "status": 429});
            let fields = "Content-Type: application/problem+json\r\nRetry-After: 3600\r\n";
            say(to, "429 Too Many Requests", fields, &problem);
        }
    });
    let directory = authority.directory();
    let mut client = Client::connect(&authority.server(&directory)).unwrap();
    let error = client.new_account(&AccountKey::generate().unwrap(), &[], None).unwrap_err();
    assert_eq!((error.kind.as_deref(), error.refused), (Some("rateLimited"), false));
    assert_eq!(error.retry_after, Some(Duration::from_secs(3600)));
    let port = authority.port;
    assert_eq!(
        error.message,
        format!(
            "the certificate authority at 127.0.0.1:{port} did not make an account: \"too many accounts\" \
             (urn:ietf:params:acme:error:rateLimited); wait: more attempts make it last longer"
        )
    );
}

#[test]
fn a_redirect_is_not_followed_and_told_without_its_secrets() {
    let to = "Location: https://user:word@new.example/acme?key=secret\r\n";
    let authority = saying(http("301 Moved Permanently", to, "<html>"));
    let error = refused(&authority).message;
    assert!(error.contains("redirects to https://new.example/acme (301)"), "{error}");
    assert!(!error.contains("secret") && !error.contains("word"), "{error}");
    assert_eq!(authority.asked().len(), 1);
}

#[test]
fn what_is_no_directory_is_named() {
    let incomplete = json!({"newNonce": "https://ca.example/n"}).to_string();
    let insecure = json!({"newNonce": "http://ca.example/n"}).to_string();
    for (answer, words) in [
        (http("200 OK", "", "<!DOCTYPE html>"), "its answer is a web page"),
        (http("200 OK", "", "[1,"), "its answer is not JSON"),
        (http("200 OK", "", "{\"a\":1,\"a\":2}"), "its answer is not JSON"),
        (http("200 OK", "", "[]"), "has no \"newNonce\""),
        (http("200 OK", "", &incomplete), "has no \"newAccount\""),
        (http("200 OK", "", &insecure), "\"newNonce\" that is no URL of https"),
        (http("404 Not Found", "", "<html>"), "answered with a web page (HTTP 404)"),
        (http("503 Busy", "", ""), "answered with no reason (HTTP 503)"),
        (http("200 OK", "", &"x".repeat(1 << 20)), "more than 65536 bytes"),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 << 10)), "does not speak HTTP"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(), "does not speak HTTP"),
    ] {
        let error = refused(&saying(answer));
        assert!(error.message.contains(words), "{words}: {error}");
        assert_eq!(error.refused, words.contains("404"), "{error}");
    }
}

#[test]
fn an_answer_without_an_end_ends() {
    let budget = Duration::from_millis(700);
    for begin in ["HTTP/1.1 200 OK\r\n\r\n{", "HTTP/1.1 200 OK\r\nX: ", ""] {
        let authority = Authority::new(move |_, _, to| {
            let _ = to.write_all(begin.as_bytes());
            while begin.is_empty() || to.write_all(b" ").and_then(|()| to.flush()).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let directory = authority.directory();
        let begun = Instant::now();
        let result = Client::connect_within(&authority.server(&directory), budget);
        let error = result.map(drop).unwrap_err().message;
        assert!(begun.elapsed() < Duration::from_secs(20), "{begin:?}");
        assert!(error.contains("took too long"), "{begin:?}: {error}");
    }
    // As fast as it can.
    let authority = Authority::new(|_, _, to| {
        let _ = to.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while to.write_all(&[b' '; 4096]).is_ok() {}
    });
    let error = refused(&authority).message;
    assert!(error.contains("more than 65536 bytes"), "{error}");
}

#[test]
fn a_certificate_that_does_not_hold_is_explained() {
    let hello =
        |_: &str, _: &authority::Asked, to: &mut dyn Write| say(to, "200 OK", "", &json!({}));
    let expired = Authority::with_certificate(
        |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2),
        hello,
    );
    let error = refused(&expired).message;
    assert!(
        error.contains("expired at 2020-01-02T00:00:00Z; the appliance's clock says 2"),
        "{error}"
    );

    let early = Authority::with_certificate(
        |params| params.not_before = rcgen::date_time_ymd(2200, 1, 2),
        hello,
    );
    let error = refused(&early).message;
    assert!(error.contains("valid from 2200-01-02T00:00:00Z on; the appliance's clock"), "{error}");

    let other = Authority::with_certificate(
        |params| params.subject_alt_names = vec![rcgen::SanType::IpAddress([192, 0, 2, 1].into())],
        hello,
    );
    let error = refused(&other).message;
    assert!(error.contains("is for other names"), "{error}");

    let authority = Authority::new(hello);
    let directory = authority.directory();
    for name in ["root", "another root"] {
        let stranger = authority::root(name).0.pem();
        let server = Server { root: Some(&stranger), ..authority.server(&directory) };
        let error = Client::connect(&server).map(drop).unwrap_err().message;
        assert!(error.contains("is not signed by the \"root\" that was sent"), "{name}: {error}");
    }
    for (root, words) in [("", "\"root\" is not whole PEM"), ("x", "\"root\" is not whole PEM")] {
        let server = Server { root: Some(root), ..authority.server(&directory) };
        let error = Client::connect(&server).map(drop).unwrap_err().message;
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(authority.asked().len(), 0);
}

#[test]
fn who_is_not_there_or_speaks_no_tls_is_named() {
    let connect = |directory: &str| {
        let root = authority::root("root").0.pem();
        let server = Server { directory, root: Some(&root), proxy: None };
        Client::connect(&server).map(drop).unwrap_err().message
    };
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let error = connect(&format!("https://{gone}/directory"));
    assert!(error.contains(&format!("at {gone} can't be reached: Connection refused")), "{error}");

    let error = connect("https://ca.invalid/directory");
    assert!(error.contains("ca.invalid cannot be resolved"), "{error}");

    let error = connect("http://ca.invalid/directory");
    assert!(error.contains("\"directory\" is no URL of https"), "{error}");

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let plain = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b""] {
            let _ = listener.accept().unwrap().0.write_all(answer);
        }
    });
    let error = connect(&format!("https://{plain}/directory"));
    assert!(error.contains("does not speak TLS as expected"), "{error}");
    let error = connect(&format!("https://{plain}/directory"));
    assert!(error.contains("broke off"), "{error}");
}
