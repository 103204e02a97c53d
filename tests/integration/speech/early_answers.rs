//! Answers that come while the upload still runs must reach the client, who may not listen yet.

use std::thread;

use crate::speech::fixture::{fixture, listeners};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::stub::Stub;
use crate::support::wait::{SOON, until};

/// What the service does once it has answered.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Reads no more and stays.
    StopsReading,
    /// Closes with the upload unread, which resets the connection.
    Closes,
    /// Takes the whole upload.
    ReadsOn,
}

/// More than all buffers on the way together.
const UPLOAD: usize = 24 << 20;

const ANSWER: &[u8] =
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\ntoo long";

/// A service that answers before it has heard everything, and an appliance in front of it.
fn answering_early(then: Then) -> (Stub, Appliance) {
    fixture(move |visit| {
        visit.head();
        visit.some();
        visit.say(ANSWER);
        match then {
            Then::StopsReading => {
                // The gate hangs up once the answer is out.
                until(SOON, "the gate has gone", || visit.gate_has_gone().then_some(()));
            }
            Then::Closes => {}
            Then::ReadsOn => visit.await_end(),
        }
    })
}

#[test]
fn a_client_that_sends_everything_before_it_listens_gets_the_early_answer() {
    let body = vec![b'x'; UPLOAD];
    for then in [Then::StopsReading, Then::Closes, Then::ReadsOn] {
        let (_stub, appliance) = answering_early(then);
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener);
            client.send(format!(
                "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n\r\n"
            ));
            let sent = client.try_send(&body);
            let answer = client.try_answer("POST");
            let answer =
                answer.unwrap_or_else(|e| panic!("{then:?} {listener:?}: {e}; sent: {sent:?}"));
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (413, "too long"),
                "{then:?} {listener:?}"
            );
            assert_eq!(answer.field("connection"), Some("close"), "{then:?} {listener:?}");
        }
    }
}

#[test]
fn uploads_that_never_pause_get_it_as_soon_as_it_is_there() {
    let body = vec![b'x'; UPLOAD];
    let (_stub, appliance) = answering_early(Then::ReadsOn);
    for listener in listeners(&appliance) {
        // Beside others each has sent more whenever it has its turn.
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let mut client = Client::at(listener);
                    client.send(format!(
                        "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {UPLOAD}\r\n\r\n"
                    ));
                    let _ = client.try_send(&body);
                    let answer = client.try_answer("POST").unwrap();
                    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
                });
            }
        });
    }
}

#[test]
fn curl_shows_the_early_answer_of_a_service_that_has_heard_enough() {
    for then in [Then::StopsReading, Then::Closes, Then::ReadsOn] {
        let (_stub, appliance) = answering_early(then);
        let file = appliance.folder().join("audio");
        std::fs::write(&file, vec![b'x'; UPLOAD]).unwrap();
        let upload = format!("data_file=@{}", file.display());
        let body = format!("@{}", file.display());
        for url in [
            appliance.https("/v2/jobs/"),
            format!("http://127.0.0.1:{}/v2/jobs/", appliance.ports.speech),
        ] {
            // As a form, which waits for 100; without waiting for 100; in chunks.
            for arguments in [
                vec!["-F", &upload, &url],
                vec!["-H", "Expect:", "--data-binary", &body, &url],
                vec![
                    "-H",
                    "Transfer-Encoding: chunked",
                    "-H",
                    "Expect:",
                    "-T",
                    file.to_str().unwrap(),
                    &url,
                ],
            ] {
                let shown = appliance.curl(&arguments);
                assert_eq!(
                    (shown.status, shown.out.as_str()),
                    (413, "too long"),
                    "{then:?} {arguments:?} {shown:?}"
                );
            }
        }
    }
}
