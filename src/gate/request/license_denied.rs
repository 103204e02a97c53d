//! What clients of the speech APIs are told while the license is not valid.
//!
//! Over HTTP a 403 that the clients of both generations can read. A WebSocket is accepted first: what
//! stands in a refused handshake no client library shows to its user, the one frame it does
//! (RFC 6455 sections 4.2.2 and 5.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::response::Reply;
use crate::http::head::RequestHead;

/// The words of the manual ("Checking an Appliance License").
pub(crate) const REASON: &str = "You are not authorised to perform this action: License is invalid";

/// What the access log says of a refused request.
pub(crate) const REMARK: &str = "refused: no valid license with seconds left";

/// The close code that the realtime API gives `not_authorised`.
const NOT_AUTHORISED: u16 = 4001;

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// One object for the clients of both batch APIs.
pub(crate) fn of_job() -> Reply {
    Reply::json(
        403,
        format!(
            "{{\"code\": 403, \"error\": \"Invalid or missing license\", \"detail\": \"{REASON}\", \
             \"status\": 403, \"title\": \"Forbidden\", \"type\": \"about:blank\"}}\n"
        ),
    )
}

/// The acceptance of a WebSocket that is about to be refused by [`last_words`]. `None` for a handshake
/// that can't be accepted, which gets [`of_job`] instead.
pub(crate) fn acceptance(head: &RequestHead, date: &str) -> Option<Vec<u8>> {
    let key = head.fields.first("sec-websocket-key")?;
    let sixteen_bytes = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    if !sixteen_bytes || head.fields.first("sec-websocket-version") != Some(b"13") {
        return None;
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nDate: {date}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    Some(answer.into_bytes())
}

/// One text frame and a close frame. The reason stands in both: a client that is still sending when
/// they arrive shows its user the second.
pub(crate) fn last_words() -> Vec<u8> {
    let mut bytes = Vec::new();
    let error = format!(
        "{{\"message\": \"Error\", \"type\": \"not_authorised\", \"reason\": \"{REASON}\"}}"
    );
    frame(&mut bytes, 0x81, error.as_bytes());
    let close = [&NOT_AUTHORISED.to_be_bytes(), REASON.as_bytes()].concat();
    frame(&mut bytes, 0x88, &close);
    bytes
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

/// A whole frame as a server sends it, unmasked; `first` is FIN and opcode. Ours are far below 64 KiB.
fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    out.push(first);
    match u8::try_from(length) {
        Ok(short @ 0..126) => out.push(short),
        _ => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{accept, acceptance, frame, last_words, of_job};
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;

    fn upgrade(key: &str, version: &str) -> RequestHead {
        let mut fields = Fields::default();
        fields.push("Sec-WebSocket-Key", key);
        fields.push("Sec-WebSocket-Version", version);
        RequestHead { method: "GET".into(), target: "/v2".into(), minor: 1, fields }
    }

    #[test]
    fn the_answer_to_a_key_is_the_rfcs() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_stream_gets_one_text_frame_and_is_closed_with_4001() {
        let head = acceptance(&upgrade("dGhlIHNhbXBsZSBub25jZQ==", "13"), "now").unwrap();
        assert!(head.ends_with(b"\r\n\r\n"));
        let frames = last_words();
        assert_eq!((frames[0], frames[1]), (0x81, 125));
        let text: serde_json::Value = serde_json::from_slice(&frames[2..127]).unwrap();
        assert_eq!(text["type"], "not_authorised");
        let close = &frames[127..];
        assert_eq!((close[0], usize::from(close[1]) + 2), (0x88, close.len()));
        assert_eq!(u16::from_be_bytes([close[2], close[3]]), 4001);
    }

    #[test]
    fn a_longer_frame_says_its_length_in_two_bytes() {
        let mut bytes = Vec::new();
        frame(&mut bytes, 0x81, &[b'x'; 126]);
        assert_eq!((&bytes[..4], bytes.len()), ([0x81, 126, 0, 126].as_slice(), 130));
    }

    #[test]
    fn what_is_no_handshake_is_not_accepted() {
        for (key, version) in [("", "13"), ("short", "13"), ("dGhlIHNhbXBsZSBub25jZQ==", "8")] {
            assert!(acceptance(&upgrade(key, version), "now").is_none(), "{key} {version}");
        }
        assert_eq!(of_job().status, 403);
    }
}
