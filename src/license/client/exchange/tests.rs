#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Errand, OLDEST};
use crate::license::client::online::tests::read;
use crate::license::client::online::{Hop, Way};
use crate::license::client::question::Asker;
use crate::license::device::Device;
use crate::license::device::computer_id::Machine;
use crate::license::model::{CODE, NOW, Vendor};
use crate::license::protocol::message::{Kind, Mode, Op};
use crate::license::protocol::wire;
use crate::license::state::record::State;
use crate::log::Log;
use crate::store::{Folder, Scratch};

/// What the peer does with the call of that number.
type Script = fn(usize, Vec<u8>) -> Vec<u8>;

/// A vendor behind a port, and a clock that jumps by `late` seconds while a question is out.
struct World {
    vendor: Arc<Mutex<Vendor>>,
    errand: Errand,
    clock: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
}

impl World {
    fn new(script: Script) -> World {
        let vendor = Arc::new(Mutex::new(Vendor::new()));
        let trust = vendor.lock().unwrap().trust.clone();
        let (clock, late) = (Arc::new(AtomicU64::new(1_000)), Arc::new(AtomicU64::new(0)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sells, clocked, jump) = (Arc::clone(&vendor), Arc::clone(&clock), Arc::clone(&late));
        thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                let mut connection = connection.unwrap();
                let question = read(&mut connection);
                let body = question.split_once("\r\n\r\n").unwrap().1;
                let answer = sells.lock().unwrap().posted(body.as_bytes());
                clocked.fetch_add(jump.load(Ordering::Relaxed), Ordering::Relaxed);
                let _ = connection.write_all(&script(number, answer));
            }
        });
        let asker = Asker {
            product: "103",
            version: "1",
            computer_id: "00000000-0000-8000-8000-000000000001",
            bundle_seq: 1,
            wall: NOW,
        };
        let id = crate::license::protocol::hex::RequestId([7; 16]);
        let request = asker.question(id, Op::Activate, CODE, Mode::Online, &State::default());
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        let device = Device::open(&folder, &Machine::default(), &Log::to(|_| {})).unwrap();
        let errand = Errand {
            request,
            trust,
            device: Arc::new(device),
            way: Way { authority_url: format!("http://127.0.0.1:{port}/"), proxy: None },
            now: NOW,
        };
        World { vendor, errand, clock, late }
    }

    fn run(&self) -> Result<super::Answer, super::Failure> {
        self.errand.run_by(&|| self.clock.load(Ordering::Relaxed))
    }

    /// Seats taken and seconds handed out.
    fn sold(&self) -> (usize, i64) {
        let vendor = self.vendor.lock().unwrap();
        (vendor.license.open_activations().count(), vendor.license.outstanding())
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn an_answer_that_comes_too_late_is_refused_and_the_same_question_again_takes_no_second_seat() {
    let world = World::new(|_, answer| http("200 OK", &answer));
    world.late.store(OLDEST + 1, Ordering::Relaxed);
    let failure = world.run().unwrap_err();
    assert_eq!((failure.hop, failure.in_doubt), (Hop::Answer, true), "{failure:?}");
    assert!(failure.sentence.ends_with("it came too late"), "{failure:?}");
    let sold = world.sold();
    assert_eq!(sold.0, 1, "the authority heard it all the same");
    world.late.store(OLDEST, Ordering::Relaxed);
    assert_eq!(world.run().unwrap().kind, Kind::Lease);
    assert_eq!(world.sold(), sold);
}

#[test]
fn who_says_that_the_key_is_unknown_is_asked_with_the_next_one_and_may_have_passed_the_question_on()
{
    let world = World::new(|number, answer| match number {
        0 => http("422 Unprocessable Content", &wire::Unopened::UnknownKey.to_body()),
        _ => http("200 OK", &answer),
    });
    assert_eq!(world.run().unwrap().kind, Kind::Lease);
    assert_eq!(world.sold().0, 1);

    // The second call meets a proxy that wants a password, and the first one was heard.
    let world = World::new(|number, _| match number {
        0 => http("422 Unprocessable Content", &wire::Unopened::UnknownKey.to_body()),
        _ => http("407 Proxy Authentication Required", b""),
    });
    assert!(world.run().unwrap_err().in_doubt);
}
