//! Answers that are not as they should be: what can be read in one way only is tidied up, and where
//! nothing has reached the client yet it is told what is wrong.

use std::time::Duration;

use crate::speech::fixture::{fixture, listeners};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::stub::{Stub, ok};

/// How long a client waits for an answer that never comes, which happens in failures only.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service that gives the answer of that number, in one packet.
fn saying(answers: Vec<Vec<u8>>) -> (Stub, Appliance) {
    fixture(move |visit| {
        while let Some((head, _)) = visit.request() {
            let path = head.split(' ').nth(1).unwrap();
            let number: usize = path.rsplit('/').next().unwrap().parse().unwrap();
            visit.say(&answers[number]);
        }
    })
}

fn chunked(body: &[u8]) -> Vec<u8> {
    [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], body].concat()
}

#[test]
fn chunks_that_everybody_reads_in_one_way_reach_the_client_tidied_up() {
    let zeros = [&b"0".repeat(40)[..], b"5\r\nhello\r\n0000000000000000000\r\n\r\n"].concat();
    let extension = [&b"5;a="[..], &b"x".repeat(3_000), b"\r\nhello\r\n0;b\r\n\r\n"].concat();
    let trailers = [&b"5\r\nhello\r\n0\r\n"[..], &b"X: y\r\n".repeat(60), b"\r\n"].concat();
    let too_many = [&b"5\r\nhello\r\n0\r\n"[..], &b"X: y\r\n".repeat(150), b"\r\n"].concat();
    let rows: [(&str, &[u8], String); 9] = [
        ("blanks behind the size", b"5  \r\nhello\r\n0\r\n\r\n", String::new()),
        ("a tab behind the size", b"5\t\r\nhello\r\n0\r\n\r\n", String::new()),
        ("blanks behind the last size", b"5\r\nhello\r\n0   \r\n\r\n", String::new()),
        ("blanks before an extension", b"5 \t;x=y\r\nhello\r\n0 ;z\r\n\r\n", String::new()),
        ("zeros", &zeros, String::new()),
        ("a long extension", &extension, String::new()),
        ("many trailers", &trailers, "X: y\r\n".repeat(60)),
        ("more trailers than a head may have fields", &too_many, String::new()),
        ("blanks before a colon", b"5\r\nhello\r\n0\r\nX-Sum \t: 9\r\n\r\n", "X-Sum: 9\r\n".into()),
    ];
    let (_stub, appliance) = saying(rows.iter().map(|(_, body, _)| chunked(body)).collect());
    for listener in listeners(&appliance) {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for (number, (name, _, trailers)) in rows.iter().enumerate() {
                let mut client = Client::at(listener).with_patience(PATIENCE);
                client.send(format!("GET /v2/jobs/{number} {version}\r\nHost: a\r\n\r\n"));
                let answer = client.answer("GET");
                assert_eq!(answer.status, 200, "{name}, {listener:?}, {version}: {answer:?}");
                assert_eq!(answer.text(), "hello", "{name}, {listener:?}, {version}: {answer:?}");
                let expected = if version == "HTTP/1.1" { trailers } else { "" };
                assert_eq!(answer.trailers, expected, "{name}, {listener:?}, {version}");
            }
        }
    }
    let shown = appliance.curl(&["-sS", "-k", &appliance.https("/v2/jobs/0")]).ok();
    assert_eq!(shown.out, "hello");
}

#[test]
fn a_length_with_many_zeros_is_the_number_it_is() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}5\r\n\r\nhello", "0".repeat(30));
    let (_stub, appliance) = saying(vec![answer.into_bytes()]);
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/0 HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer("GET");
        assert_eq!((answer.field("content-length"), answer.text()), (Some("5"), "hello".into()));
        client.send("HEAD /v2/jobs/0 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer("HEAD").field("content-length"), Some(&*format!("{:031}", 5)));
    }
}

#[test]
fn what_is_wrong_with_an_answer_is_said_while_nothing_of_it_has_reached_the_client() {
    let fields = |lines: &[u8]| {
        [&b"HTTP/1.1 200 OK\r\n"[..], lines, b"Content-Length: 2\r\n\r\nhi"].concat()
    };
    let rows: Vec<(Vec<u8>, &str)> = vec![
        (chunked(b"zz\r\nhello\r\n0\r\n\r\n"), "a chunk size is not a hexadecimal number"),
        (chunked(b"5\r\nhello\r\n5 5\r\nhello\r\n0\r\n\r\n"), "a chunk extension is malformed"),
        (chunked(b"5\nhello\r\n0\r\n\r\n"), "a line of the chunked body does not end in CRLF"),
        (fields(&b"A: b\r\n".repeat(100)), "its head has more than 100 header fields"),
        (fields(b"X-A : b\r\n"), "a field name in its head is malformed or followed by a space"),
        (fields(b"X A: b\r\n"), "a field name in its head is malformed or followed by a space"),
        (fields(b"X-A: b\r\n c\r\n"), "a line of its head is folded"),
        (fields(b"X-A: b\r\n\tc\r\n"), "a line of its head is folded"),
        (fields(b"X-A: b\x01\r\n"), "a field value in its head contains a control character"),
        (fields(b"X-A: b\nX: y\r\n"), "a line of its head ends in LF alone"),
        (fields(b"X-A: b\rX: y\r\n"), "its head contains a CR without LF"),
        (fields(b"X-A: b\0\r\n"), "its head contains a NUL byte"),
        (fields(&[b'a'; 70_000]), "its head is larger than 64 KiB"),
        ([&b"\r\n"[..], ok("hi").as_bytes()].concat(), "an empty line stands before its head"),
        (b"HTTP/2 200 OK\r\n\r\n".to_vec(), "it does not begin with a status line of HTTP/1.1"),
        (b"hello\r\n\r\n".to_vec(), "it does not begin with a status line of HTTP/1.1"),
    ];
    let (_stub, appliance) = saying(rows.iter().map(|(words, _)| words.clone()).collect());
    for listener in listeners(&appliance) {
        for (number, (words, reason)) in rows.iter().enumerate() {
            let known = appliance.log().len();
            let mut client = Client::at(listener).with_patience(PATIENCE);
            client.send(format!("GET /v2/jobs/{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = client.answer("GET");
            let words = String::from_utf8_lossy(&words[..words.len().min(80)]);
            assert_eq!(answer.status, 502, "{listener:?} {words:?}: {answer:?}");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let detail = body["detail"].as_str().unwrap();
            let told = format!("invalid response from speech: {reason}");
            assert!(detail.starts_with(&told), "{words:?}: {detail}");
            appliance.logs(known, &format!("status=502 in=0 out={} ", answer.body.len()));
            // The connection is as good as before.
            client.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.answer("GET").status, 404, "{listener:?} {words:?}");
        }
    }
}

#[test]
fn a_request_whose_answer_is_bad_is_not_sent_again() {
    let (stub, appliance) = saying(vec![ok("hi").into(), chunked(b"zz\r\nhello\r\n0\r\n\r\n")]);
    for listener in listeners(&appliance) {
        stub.forget();
        let mut client = Client::at(listener).with_patience(PATIENCE);
        for _ in 0..5 {
            // So that there is a connection that has served before.
            client.send("GET /v2/jobs/0 HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.answer("GET").status, 200, "{listener:?}");
            client.send("DELETE /v2/jobs/1 HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.answer("DELETE").status, 502, "{listener:?}");
        }
        assert_eq!(stub.texts().concat().matches("DELETE /v2/jobs/1 ").count(), 5, "{listener:?}");
    }
}

#[test]
fn an_answer_without_a_date_gets_one_and_another_keeps_its_own() {
    let dated =
        "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let (_stub, appliance) =
        saying(vec![dated.into(), ok("hi").into(), format!("{interim}{}", ok("hi")).into()]);
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener).with_patience(PATIENCE);
        client.send("GET /v2/jobs/0 HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer("GET");
        assert_eq!(answer.field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"), "{answer:?}");
        assert_eq!(answer.head.to_lowercase().matches("date:").count(), 1, "{answer:?}");

        client.send("GET /v2/jobs/2 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.head(), interim, "an answer that is none yet has none");
        let head = client.answer("GET").head;
        // The clock of this machine is the appliance's, so curl can tell how old the answer is.
        let date = head.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap();
        let clock = appliance.shell(&format!("echo $(( $(date +%s) - $(date -d '{date}' +%s) ))"));
        let age: i64 = clock.ok().out.trim().parse().unwrap();
        assert!((0..60).contains(&age), "{date} is {age} s old");
    }
}
