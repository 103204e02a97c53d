//! One member: its URL, what it answers, and what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What a member does with a request.
pub(super) enum Reply {
    /// Status and JSON.
    Answer(u16, Value),
    /// It dies before it answers.
    Cut,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) body: Value,
}

pub(super) struct Member {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

impl Member {
    /// `answer` gets the requests of all connections one after the other.
    pub(super) fn new(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Member {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let answer: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(answer)));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(connection.unwrap(), &log, &answer));
            }
        });
        Member { url, asked }
    }

    /// A member that is not there.
    pub(super) fn absent() -> Member {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Member { url, asked: Arc::default() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Requests for `path`.
    pub(super) fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &Mutex<Box<Script>>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        log.lock().unwrap().push(asked.clone());
        let Reply::Answer(status, body) = answer.lock().unwrap()(&asked) else { return };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = reader.get_mut().write_all((head + &body).as_bytes());
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let (mut path, mut token, mut length) = (None, None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if path.is_none() {
            path = Some(line.split(' ').nth(1)?.to_owned());
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => token = Some(value.to_owned()),
                "content-length" => length = value.parse().ok()?,
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path: path?, token, body: serde_json::from_slice(&body).ok()? })
}
