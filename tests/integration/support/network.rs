//! The network between an appliance and its authority: it passes messages, hangs, loses answers, and
//! remembers what was asked.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::uninterrupted;

/// What the network does with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Passes it and its answer.
    None,
    /// Takes the connection and says nothing until the fault changes.
    Hang,
    /// Passes the question and loses the answer.
    LoseAnswers,
    /// Answers in place of the authority.
    Answer(String),
    /// Passes the question and answers itself.
    Forge(String),
    /// The daemon dies: before its question is passed on (`None`), or when the authority has answered
    /// and so many bytes of that have arrived.
    Kill { daemon: Pid, bytes: Option<usize> },
}

/// One way to one authority.
pub(crate) struct Network {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    fault: Mutex<Fault>,
    /// Every question, as it went over the network.
    questions: Mutex<Vec<Vec<u8>>>,
}

impl Network {
    pub(crate) fn to(authority: u16) -> Network {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Arc::new(Shared { fault: Mutex::new(Fault::None), questions: Mutex::new(Vec::new()) });
        let everybody = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&everybody);
                thread::spawn(move || carry(connection, authority, &shared));
            }
        });
        Network { port, shared }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// Questions that came so far.
    pub(crate) fn questions(&self) -> Vec<Vec<u8>> {
        self.shared.questions.lock().unwrap().clone()
    }
}

/// One question and its answer; the appliance makes a connection for each.
fn carry(mut client: TcpStream, authority: u16, shared: &Shared) {
    let Some(question) = read_message(&mut client) else { return };
    shared.questions.lock().unwrap().push(question.clone());
    let fault = shared.fault.lock().unwrap().clone();
    match fault {
        Fault::None => {}
        Fault::Hang => {
            // Until the other end gives up.
            let _ = client.read(&mut [0]);
            return;
        }
        Fault::Answer(text) => {
            let _ = client.write_all(text.as_bytes());
            return;
        }
        Fault::Kill { daemon, bytes: None } => {
            return kill_process(daemon, Signal::KILL).unwrap();
        }
        Fault::LoseAnswers | Fault::Forge(_) | Fault::Kill { .. } => {}
    }
    let Ok(mut service) = TcpStream::connect((Ipv4Addr::LOCALHOST, authority)) else { return };
    if service.write_all(&question).is_err() {
        return;
    }
    let Some(answer) = read_message(&mut service) else { return };
    match fault {
        Fault::None => {
            let _ = client.write_all(&answer);
            let _ = client.shutdown(Shutdown::Write);
        }
        Fault::Forge(text) => drop(client.write_all(text.as_bytes())),
        Fault::Kill { daemon, bytes: Some(bytes) } => {
            let _ = client.write_all(&answer[..bytes.min(answer.len())]);
            kill_process(daemon, Signal::KILL).unwrap();
        }
        _ => {}
    }
}

/// Head and body, by `Content-Length`.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        if let Some(at) = message.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message[..at]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| {
                line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            if message.len() >= at + 4 + length.unwrap_or(0) {
                return Some(message);
            }
        }
        match uninterrupted(|| stream.read(&mut bytes)) {
            Ok(0) | Err(_) => return None,
            Ok(n) => message.extend_from_slice(&bytes[..n]),
        }
    }
}
