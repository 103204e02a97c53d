//! Certificates replaced while the appliance is in use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, form};
use crate::support::client::Client;
use crate::support::command::finished;
use crate::support::engine::{Engine, SLOW};
use crate::support::settings::Settings;
use crate::support::tls::handshake;
use crate::support::wait::{SOON, until};

const UPLOADS: usize = 200;

/// One upload as its user saw it.
struct Upload {
    sent: Instant,
    answered: Instant,
    fingerprint: String,
}

/// One request on a connection of its own, as its user saw it.
struct Visit {
    started: Instant,
    done: Instant,
    shown: Result<String, String>,
}

#[test]
fn two_hundred_uploads_in_a_row_cut_nothing_and_each_counts_from_its_answer_on() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::v1().speech(engine.address));
    let authority = Authority::new(appliance.folder());
    let pairs = [authority.issue("a", Key::Ec("P-256")), authority.issue("b", Key::Ec("P-256"))];
    let prints = [fingerprint(&pairs[0].cert), fingerprint(&pairs[1].cert)];
    let default_certificate = handshake(appliance.ports.https).unwrap().fingerprint;
    let url = appliance.https("/v1/security/sslcertificate");

    let tap = engine.stream();
    let received = appliance.folder().join("received");
    let path = received.to_str().unwrap();
    let long = appliance.curl_in_background(&["-N", "-o", path, &appliance.https(SLOW)]);
    let piece = vec![b'x'; 10_000];
    tap.send(&piece);
    until(SOON, "the long response has begun", || {
        std::fs::metadata(&received).is_ok_and(|file| file.len() > 0).then_some(())
    });

    let over = AtomicBool::new(false);
    let (uploads, visits) = std::thread::scope(|scope| {
        let visitor = scope.spawn(|| visit_until(&over, appliance.ports.https));
        let mut uploads = Vec::new();
        for turn in 0..UPLOADS {
            let [a, b, c, d] = form(&pairs[turn % 2].key, &pairs[turn % 2].cert);
            let sent = Instant::now();
            let answer = appliance.curl(&[a, b, c, d, url.clone()]);
            let answered = Instant::now();
            // The visitor must end before the scope can, so a failure is looked at outside of it.
            let shown = handshake(appliance.ports.https).map(|shown| shown.fingerprint);
            let fingerprint = prints[turn % 2].clone();
            let good = answer.status == 200 && shown.as_ref() == Ok(&fingerprint);
            uploads.push((Upload { sent, answered, fingerprint }, good, answer, shown));
            tap.send(&piece);
        }
        over.store(true, Ordering::Relaxed);
        (uploads, visitor.join().unwrap())
    });
    tap.finish();
    let long = finished(&long.wait_with_output().unwrap());

    for (turn, (_, good, answer, shown)) in uploads.iter().enumerate() {
        assert!(good, "upload {turn}: {answer:?}, then the first handshake gave {shown:?}");
    }
    let uploads: Vec<Upload> = uploads.into_iter().map(|(upload, ..)| upload).collect();
    assert!(visits.len() > 20, "only {} visits: nothing was shown", visits.len());
    for (number, visit) in visits.iter().enumerate() {
        let shown = visit.shown.as_ref().unwrap_or_else(|error| panic!("visit {number}: {error}"));
        let allowed = certificates_during(visit, &uploads, &default_certificate);
        assert!(allowed.contains(&shown.as_str()), "visit {number} saw {shown}, not {allowed:?}");
    }

    assert_eq!((long.code, long.status), (0, 200), "{long:?}");
    let whole = std::fs::read(&received).unwrap();
    let expected = piece.repeat(UPLOADS + 1);
    assert_eq!(whole.len(), expected.len());
    assert_eq!(Sha256::digest(&whole), Sha256::digest(&expected));
}

/// Visits as fast as it can until told that it is over.
fn visit_until(over: &AtomicBool, port: u16) -> Vec<Visit> {
    let mut visits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let shown = visit(port);
        visits.push(Visit { started, done: Instant::now(), shown });
    }
    visits
}

/// A handshake and one request; the certificate that was shown.
fn visit(port: u16) -> Result<String, String> {
    let (shown, mut client) = Client::try_tls(port)?;
    let request =
        "GET /v1/management/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.try_send(request.as_bytes()).map_err(|error| format!("writing: {error}"))?;
    let answer = client.try_answer("GET").map_err(|error| format!("reading: {error}"))?;
    if answer.status == 200 { Ok(shown.fingerprint) } else { Err(answer.head) }
}

/// The certificate in force when the visit began, and those of uploads that were under way during it.
fn certificates_during<'a>(visit: &Visit, uploads: &'a [Upload], first: &'a str) -> Vec<&'a str> {
    let in_force = uploads
        .iter()
        .rev()
        .find(|upload| upload.answered <= visit.started)
        .map_or(first, |upload| &upload.fingerprint);
    let under_way = uploads
        .iter()
        .filter(|upload| upload.sent <= visit.done && upload.answered > visit.started)
        .map(|upload| upload.fingerprint.as_str());
    std::iter::once(in_force).chain(under_way).collect()
}

#[test]
fn a_connection_kept_open_goes_on_after_the_certificate_was_replaced() {
    let appliance = Appliance::start(&Settings::v1());
    let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
    let [a, b, c, d] = form(&one.key, &one.cert);
    let (upload, ping) =
        (appliance.https("/v1/security/sslcertificate"), appliance.https("/v1/management/ping"));
    // One curl, one connection: a GET, the upload, a GET. %{num_connects} counts new connections.
    let connects = ["-o", "body", "-w", "%{num_connects} %{http_code}\n"].map(String::from);
    let mut arguments = connects.to_vec();
    arguments.extend([ping.clone(), "--next".into(), "--insecure".into()]);
    arguments.extend(connects.clone());
    arguments.extend([a, b, c, d, upload, "--next".into(), "--insecure".into()]);
    arguments.extend(connects);
    arguments.push(ping);
    let answers = appliance.curl(&arguments);
    assert_eq!(answers.out, "1 200\n0 200\n0 200\n", "{answers:?}");
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&one.cert));
}
