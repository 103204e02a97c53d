//! Requests as bytes, and just enough reading of answers to know when one is complete.

use crate::arguments::Arguments;

/// A GET for `--path`. `--user name:password` adds basic authentication; a `*` in it becomes `number`,
/// for passwords that are never the same.
pub(crate) fn get(arguments: &Arguments, close: bool, number: u64) -> Vec<u8> {
    let user = arguments.text("user", "");
    let mut head =
        format!("GET {} HTTP/1.1\r\nHost: bench.test\r\n", arguments.text("path", "/api/small"));
    if !user.is_empty() {
        let credentials = base64(user.replace('*', &number.to_string()).as_bytes());
        head.push_str(&format!("Authorization: Basic {credentials}\r\n"));
    }
    if close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

pub(crate) fn post(path: &str, bytes: u64) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {bytes}\r\n\r\n")
        .into_bytes()
}

/// Asks for a WebSocket; the key is the one of RFC 6455 section 1.3.
pub(crate) fn upgrade(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let length = chunk.len();
        (0..4).map(move |i| match i {
            i if i > length => '=',
            i => char::from(DIGITS[(bits >> (18 - 6 * i)) as usize & 63]),
        })
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// An answer with a Content-Length, or a 101. One without has status 0: it counts as wrong.
#[derive(Default)]
pub(crate) struct Answer {
    head: Vec<u8>,
    left: Option<u64>,
    pub(crate) status: u16,
}

impl Answer {
    /// Takes what has arrived; true when the answer is complete.
    pub(crate) fn feed(&mut self, mut data: &[u8]) -> bool {
        let left = match &mut self.left {
            Some(left) => left,
            None => {
                self.head.extend_from_slice(data);
                let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return false;
                };
                let head = String::from_utf8_lossy(&self.head[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length = length.and_then(|digits| digits.trim().parse().ok());
                self.status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
                if length.is_none() && self.status != 101 {
                    self.status = 0;
                }
                data = &data[data.len() - (self.head.len() - end - 4)..];
                self.left.insert(length.unwrap_or(0))
            }
        };
        *left -= (*left).min(data.len() as u64);
        *left == 0
    }
}
