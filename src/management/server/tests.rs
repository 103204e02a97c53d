#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::client;
use super::{Endpoint, Handle, serve};
use crate::log::Log;
use crate::management::api::request::Request;
use crate::management::api::response::Response;
use crate::management::server::socket;

/// More than a socket holds.
const LONG: usize = 4 << 20;

/// What a stop may wait for answers.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// A server of its own in a folder of its own.
struct World {
    folder: PathBuf,
    path: PathBuf,
    listener: UnixListener,
    handle: Option<Handle>,
}

impl World {
    fn new(name: &str) -> World {
        let folder = std::env::temp_dir().join(format!("applianced-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let path = folder.join("control.sock");
        let listener = socket::listen(&path, socket::OWNER).unwrap();
        let copy = listener.try_clone().unwrap();
        let handle = serve(
            copy,
            Endpoint { path: path.clone(), mode: socket::OWNER },
            Arc::new(handler),
            Log::to(|_| {}),
        )
        .unwrap();
        World { folder, path, listener, handle: Some(handle) }
    }

    /// Sends `text` as it is and returns all that comes back.
    fn raw(&self, text: &str) -> String {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn answers(&self) -> bool {
        client::request(&self.path, "GET", "/fine").is_ok_and(|reply| reply.status == 200)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.handle = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn handler(request: &mut Request) -> Response {
    match request.path.as_str() {
        "/slow" => {
            // Says that it is asked, and waits until the file is there that the query names.
            fs::write(format!("{}.asked", request.query), "").unwrap();
            within(10, || fs::exists(&request.query).unwrap());
            Response::success("late")
        }
        "/long" => Response { body: vec![b'x'; LONG], ..Response::success("") },
        "/panic" => panic!("a handler failed, as this test wants"),
        "/unread" => Response::failure(403, "unread"),
        _ => match request.take_body() {
            Ok(body) => Response::success(&format!("{} {}", request.method.word(), body.len())),
            Err(error) => error.into(),
        },
    }
}

#[track_caller]
fn within(seconds: u64, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(Instant::now() < until, "not within {seconds} seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn answers_come_with_a_length_and_are_not_kept() {
    let world = World::new("answers");
    let answer = world.raw("GET /fine?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in ["Content-Type: application/json", "Cache-Control: no-store", "Content-Length: 37"]
    {
        assert!(answer.contains(&format!("{line}\r\n")), "{line}: {answer}");
    }
    assert!(answer.ends_with("\r\n\r\n{\"success\": true, \"message\": \"GET 0\"}"), "{answer}");
    let answer = world.raw("HEAD /fine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.contains("Content-Length: 38\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_panic_costs_one_request() {
    let world = World::new("panic");
    for _ in 0..20 {
        assert_eq!(client::request(&world.path, "GET", "/panic").unwrap().status, 500);
    }
    assert!(world.answers());
}

#[test]
fn bodies_have_a_ceiling_with_a_length_and_in_chunks() {
    let world = World::new("bodies");
    let head = "POST /fine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let large = "x".repeat(300_000);
    let answer = world.raw(&format!("{head}Content-Length: 300000\r\n\r\n{large}"));
    assert!(answer.contains("POST 300000"), "{answer}");
    let chunks = |count: usize| {
        let chunk = format!("{:x}\r\n{large}\r\n", large.len());
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(count))
    };
    assert!(world.raw(&chunks(3)).contains("POST 900000"));

    // The sender sees 413 without having sent a byte of the body, or being asked for it.
    let mut start = [0; 12];
    for expectation in ["", "Expect: 100-continue\r\n"] {
        let mut stream = UnixStream::connect(&world.path).unwrap();
        let announced = format!("{head}{expectation}Content-Length: 2000000\r\n\r\n");
        stream.write_all(announced.as_bytes()).unwrap();
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 413");
    }

    let mut stream = UnixStream::connect(&world.path).unwrap();
    // What is left unread at the end may be thrown back at the sender.
    let _ = stream.write_all(chunks(4).as_bytes());
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[test]
fn an_absurd_length_does_not_end_the_process() {
    let world = World::new("absurd");
    for length in [usize::MAX, 1 << 50] {
        let mut stream = UnixStream::connect(&world.path).unwrap();
        let head = format!("POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    assert!(world.answers());
}

#[test]
fn an_unread_chunked_body_is_never_taken_for_a_request() {
    let world = World::new("smuggle");
    let inner = "GET /inner HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = world.raw(&format!(
        "POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n\
         GET /fine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        inner.len()
    ));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("HTTP/1.1 200"), "{answer}");
}

#[test]
fn slow_senders_hold_nobody_up() {
    let world = World::new("slow");
    let slow: Vec<UnixStream> = (0..60)
        .map(|_| {
            let mut stream = UnixStream::connect(&world.path).unwrap();
            stream
                .write_all(b"POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx")
                .unwrap();
            stream
        })
        .collect();
    assert!(world.answers());
    drop(slow);
}

#[test]
fn slow_answers_hold_nobody_up() {
    let world = World::new("late");
    let (file, path) = (world.folder.join("now"), world.path.clone());
    let target = format!("/slow?{}", file.display());
    let slow: Vec<_> = (0..5)
        .map(|_| {
            let (path, target) = (path.clone(), target.clone());
            std::thread::spawn(move || client::request(&path, "GET", &target).unwrap().status)
        })
        .collect();
    for _ in 0..20 {
        assert!(world.answers());
    }
    fs::write(file, "").unwrap();
    for one in slow {
        assert_eq!(one.join().unwrap(), 200);
    }
    assert!(world.answers());
}

#[test]
fn slow_readers_hold_nobody_up() {
    let world = World::new("readers");
    let request = b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let slow: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = UnixStream::connect(&world.path).unwrap();
            stream.write_all(request).unwrap();
            // The answer has begun, and most of it waits for us.
            stream.read_exact(&mut [0; 100]).unwrap();
            stream
        })
        .collect();
    assert!(world.answers());
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.len() > LONG && rest.ends_with(&[b'x'; 4096]));
    }
}

#[test]
fn a_failed_accept_is_survived() {
    let world = World::new("accept");
    assert!(world.answers());
    // The next accept on that socket fails, and tiny_http's accept thread ends with it.
    rustix::net::shutdown(&world.listener, rustix::net::Shutdown::Both).unwrap();
    within(5, || world.answers());
    assert!(world.path.exists());
}

#[test]
fn a_stop_is_quick_and_removes_the_socket() {
    let mut world = World::new("stop");
    assert!(world.answers());
    let begin = Instant::now();
    world.handle.take().unwrap().stop(begin + LONG_ENOUGH);
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(!world.path.exists());
}

#[test]
fn a_stop_lets_those_have_their_answers_who_have_asked() {
    let mut world = World::new("leave");
    let (file, path) = (world.folder.join("now"), world.path.clone());
    let target = format!("/slow?{}", file.display());
    let slow = std::thread::spawn(move || client::request(&path, "GET", &target).unwrap().status);
    within(5, || world.folder.join("now.asked").exists());
    let handle = world.handle.take().unwrap();
    let stop = std::thread::spawn(move || handle.stop(Instant::now() + LONG_ENOUGH));
    within(5, || !world.path.exists());
    assert!(!stop.is_finished(), "somebody waits for an answer");
    fs::write(file, "").unwrap();
    stop.join().unwrap();
    assert_eq!(slow.join().unwrap(), 200);
}

#[test]
fn a_stop_waits_no_longer_than_it_may() {
    let mut world = World::new("patience");
    let mut slow = UnixStream::connect(&world.path).unwrap();
    slow.write_all(b"POST /fine HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx").unwrap();
    assert!(world.answers());
    let begin = Instant::now();
    world.handle.take().unwrap().stop(begin + Duration::from_millis(200));
    assert!(begin.elapsed() < LONG_ENOUGH);
}
