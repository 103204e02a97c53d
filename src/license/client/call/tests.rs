#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Call, MAX_ANSWER_AGE};
use crate::authority::model::{CODE, NOW, Vendor};
use crate::license::client::request_context::RequestContext;
use crate::license::client::transport::tests::read;
use crate::license::client::transport::{ErrorKind, Route};
use crate::license::device::Device;
use crate::license::device::computer_id::Machine;
use crate::license::protocol::message::{Kind, Mode, Op};
use crate::license::protocol::wire;
use crate::license::state::record::State;
use crate::log::Log;
use crate::store::{Folder, Scratch};

/// The answer of the peer to the call of that number.
type Script = fn(usize, Vec<u8>) -> Vec<u8>;

/// A vendor behind a port, and a clock that jumps by `late` seconds while a request is in flight.
struct Fixture {
    vendor: Arc<Mutex<Vendor>>,
    call: Call,
    clock: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
}

impl Fixture {
    fn new(script: Script) -> Fixture {
        let vendor = Arc::new(Mutex::new(Vendor::new()));
        let trust = vendor.lock().unwrap().trust.clone();
        let (clock, late) = (Arc::new(AtomicU64::new(1_000)), Arc::new(AtomicU64::new(0)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sells, clocked, jump) = (Arc::clone(&vendor), Arc::clone(&clock), Arc::clone(&late));
        thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                let mut connection = connection.unwrap();
                let request = read(&mut connection);
                let body = request.split_once("\r\n\r\n").unwrap().1;
                let answer = sells.lock().unwrap().posted(body.as_bytes());
                clocked.fetch_add(jump.load(Ordering::Relaxed), Ordering::Relaxed);
                let _ = connection.write_all(&script(number, answer));
            }
        });
        let context = RequestContext {
            product: "103",
            version: "1",
            computer_id: "00000000-0000-8000-8000-000000000001",
            bundle_seq: 1,
            wall: NOW,
        };
        let id = crate::license::protocol::hex::RequestId([7; 16]);
        let request = context.request(id, Op::Activate, CODE, Mode::Online, &State::default());
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        let device = Device::open(&folder, &Machine::default(), &Log::to(|_| {})).unwrap();
        let call = Call {
            request,
            trust,
            device: Arc::new(device),
            route: Route { authority_url: format!("http://127.0.0.1:{port}/"), proxy: None },
            now: NOW,
        };
        Fixture { vendor, call, clock, late }
    }

    fn run(&self) -> Result<super::Answer, super::TransportError> {
        self.call.run_with_clock(&|| self.clock.load(Ordering::Relaxed))
    }

    /// Seats taken and seconds handed out.
    fn sold(&self) -> (usize, i64) {
        let vendor = self.vendor.lock().unwrap();
        (vendor.accounts.open_seats().count(), vendor.accounts.license.outstanding())
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn an_answer_that_comes_too_late_is_refused_and_the_same_request_again_takes_no_second_seat() {
    let fixture = Fixture::new(|_, answer| http("200 OK", &answer));
    fixture.late.store(MAX_ANSWER_AGE + 1, Ordering::Relaxed);
    let error = fixture.run().unwrap_err();
    assert_eq!((error.kind, error.maybe_delivered), (ErrorKind::InvalidAnswer, true), "{error:?}");
    assert!(error.message.ends_with("it came too late"), "{error:?}");
    let sold = fixture.sold();
    assert_eq!(sold.0, 1, "the authority received it all the same");
    fixture.late.store(MAX_ANSWER_AGE, Ordering::Relaxed);
    assert_eq!(fixture.run().unwrap().kind, Kind::Lease);
    assert_eq!(fixture.sold(), sold);
}

#[test]
fn an_answer_that_the_key_is_unknown_leads_to_the_next_key_and_leaves_delivery_in_doubt() {
    let fixture = Fixture::new(|number, answer| match number {
        0 => http("422 Unprocessable Content", &wire::RequestError::UnknownKey.to_body()),
        _ => http("200 OK", &answer),
    });
    assert_eq!(fixture.run().unwrap().kind, Kind::Lease);
    assert_eq!(fixture.sold().0, 1);

    // The second call meets a proxy that requires a password, and the first one was delivered.
    let fixture = Fixture::new(|number, _| match number {
        0 => http("422 Unprocessable Content", &wire::RequestError::UnknownKey.to_body()),
        _ => http("407 Proxy Authentication Required", b""),
    });
    assert!(fixture.run().unwrap_err().maybe_delivered);
}
