//! A stub of the speech engine: answers the two job lists, streams one long response chunk by chunk
//! on command, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// The answer to both job lists.
pub(crate) const JOBS: &str = r#"{"jobs": []}"#;

/// The path whose response a [`Stream`] dictates.
pub(crate) const SLOW: &str = "/v1.0/user/1/jobs/slow";

/// The running stub; its thread ends with the test program.
pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<String>>,
    stream: Mutex<Option<Receiver<Piece>>>,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// The hand on the tap of the slow response; dropped without [`Stream::finish`], it breaks the response off.
pub(crate) struct Stream(Sender<Piece>);

impl Stream {
    pub(crate) fn send(&self, bytes: &[u8]) {
        // The far end may be gone, which the test sees on its own side.
        let _ = self.0.send(Piece::Bytes(bytes.to_vec()));
    }

    pub(crate) fn finish(self) {
        let _ = self.0.send(Piece::End);
    }
}

impl Engine {
    pub(crate) fn start() -> Engine {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let everybody = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&everybody);
                std::thread::spawn(move || serve(&connection, &shared));
            }
        });
        Engine { address, shared }
    }

    /// The next request for [`SLOW`] is answered by what the returned hand sends.
    pub(crate) fn stream(&self) -> Stream {
        let (sender, receiver) = channel();
        *self.shared.stream.lock().unwrap() = Some(receiver);
        Stream(sender)
    }

    /// The heads of all requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

/// Answers requests until the peer closes.
fn serve(connection: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(connection);
    while let Some(head) = read_head(&mut reader) {
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        if std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).is_err() {
            return;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        shared.seen.lock().unwrap().push(head);
        let answered = match path.as_str() {
            "/v1.0/user/1/jobs/" | "/v2/jobs/" | "/v2/jobs" => answer(connection, "200 OK", JOBS),
            SLOW => dictated(connection, shared),
            _ => answer(connection, "404 Not Found", r#"{"code": 404, "error": "stub"}"#),
        };
        if answered.is_err() {
            return;
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        match reader.read_line(&mut head) {
            Ok(0) | Err(_) => return None,
            Ok(_) if head.ends_with("\r\n\r\n") => return Some(head),
            Ok(_) => {}
        }
    }
}

fn answer(mut connection: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn dictated(mut connection: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let Some(pieces) = shared.stream.lock().unwrap().take() else {
        return answer(connection, "409 Conflict", r#"{"error": "no stream was prepared"}"#);
    };
    connection.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => {
                write!(connection, "{:x}\r\n", bytes.len())?;
                connection.write_all(&bytes)?;
                connection.write_all(b"\r\n")?;
            }
            Piece::End => return connection.write_all(b"0\r\n\r\n"),
        }
    }
    Err(std::io::Error::other("the test let go of the stream"))
}
