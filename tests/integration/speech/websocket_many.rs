//! Many streams at once, and an administrator at work meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::speech::websocket::{echo, upgrade};
use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, form};
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::tls::handshake;
use crate::support::wait::{SOON, until};

const STREAMS: usize = 40;

#[test]
fn forty_streams_go_on_through_a_new_certificate_and_a_new_password() {
    let stub = Stub::start(|visit| {
        visit.head();
        visit.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        echo(visit);
    });
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    let pair = Authority::new(appliance.folder()).issue("new", Key::Ec("P-256"));
    let over = AtomicBool::new(false);
    // How many turns each stream has done, so that the work falls into their midst.
    let turns: Vec<AtomicUsize> = (0..STREAMS).map(|_| AtomicUsize::new(0)).collect();
    let all_turn = |more: usize| {
        let goals: Vec<usize> =
            turns.iter().map(|turn| turn.load(Ordering::SeqCst) + more).collect();
        until(SOON, "every stream has gone on", || {
            let reached =
                turns.iter().zip(&goals).all(|(turn, goal)| turn.load(Ordering::SeqCst) >= *goal);
            reached.then_some(())
        });
    };
    std::thread::scope(|scope| {
        let streams: Vec<_> = turns
            .iter()
            .enumerate()
            .map(|(number, turn)| {
                let port = if number % 2 == 0 {
                    appliance.ports.https
                } else {
                    appliance.ports.v2_realtime
                };
                let over = &over;
                scope.spawn(move || stream(port, number, turn, over))
            })
            .collect();
        // A panic before the streams are told would leave the scope waiting for them.
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            all_turn(5);
            let [a, b, c, d] = form(&pair.key, &pair.cert);
            appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
            assert_eq!(
                handshake(appliance.ports.https).unwrap().fingerprint,
                fingerprint(&pair.cert)
            );
            all_turn(5);
            appliance
                .post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "new"}"#)
                .ok();
            assert_eq!(appliance.read(&appliance.https("/v1/management/services")).status, 401);
            all_turn(20);
        }));
        over.store(true, Ordering::SeqCst);
        for (number, stream) in streams.into_iter().enumerate() {
            let ended = stream.join().unwrap();
            assert_eq!(ended, Ok(()), "stream {number}");
        }
        work.unwrap();
    });
    assert_eq!(stub.recorded().len(), STREAMS, "one connection to the service for each stream");
}

/// Says things and hears them again until told that it is over; then an orderly end.
fn stream(port: u16, number: usize, turns: &AtomicUsize, over: &AtomicBool) -> Result<(), String> {
    let mut client = Client::tls(port);
    client.send(upgrade("/v2/en"));
    client.through(b"\r\n\r\n").map_err(|e| format!("no 101: {e}"))?;
    while !over.load(Ordering::SeqCst) {
        let turn = turns.load(Ordering::SeqCst);
        let said = format!("{number}:{turn};").repeat(1 + (number * 31 + turn * 17) % 900);
        client.try_send(said.as_bytes()).map_err(|e| format!("turn {turn}: {e}"))?;
        let heard = client.bytes(said.len()).map_err(|e| format!("turn {turn}: {e}"))?;
        if heard != said.as_bytes() {
            return Err(format!("turn {turn}: heard something else"));
        }
        turns.fetch_add(1, Ordering::SeqCst);
    }
    client.finish();
    let rest = client.until_end().map_err(|e| format!("the end: {e}"))?;
    if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", rest.len())) }
}
