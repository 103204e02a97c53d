//! The responses of the speech APIs while the license is not valid.
//!
//! HTTP clients of both API versions get a 403. A WebSocket is accepted first, because no client library shows its user
//! the body of a rejected handshake, but they show a text frame (RFC 6455 sections 4.2.2 and 5.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::response::LocalResponse;
use crate::http::head::RequestHead;

/// The reason of every refusal for want of a license (ML-2).
pub(crate) const REASON: &str = "You are not authorised to perform this action: License is invalid";

/// The remark in the access log.
pub(crate) const REMARK: &str = "refused: no valid license with seconds left";

/// The close code of the realtime API for `not_authorised`.
const NOT_AUTHORISED: u16 = 4001;

/// The GUID of RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The 403 for clients of both batch APIs.
pub(crate) fn batch_response() -> LocalResponse {
    LocalResponse::json(
        403,
        format!(
            "{{\"code\": 403, \"error\": \"Invalid or missing license\", \"detail\": \"{REASON}\", \
             \"status\": 403, \"title\": \"Forbidden\", \"type\": \"about:blank\"}}\n"
        ),
    )
}

/// The 101 for a WebSocket that [`rejection_frames`] will reject. `None` for an invalid handshake, which gets
/// [`batch_response`] instead.
pub(crate) fn acceptance(head: &RequestHead, date: &str) -> Option<Vec<u8>> {
    let key = head.fields.first("sec-websocket-key")?;
    let sixteen_bytes = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    if !sixteen_bytes || head.fields.first("sec-websocket-version") != Some(b"13") {
        return None;
    }
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nDate: {date}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    Some(response.into_bytes())
}

/// A text frame and a close frame, both with the reason: a client that is still sending when they arrive shows its
/// user the close frame.
pub(crate) fn rejection_frames() -> Vec<u8> {
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

/// Appends an unmasked frame; `first` is FIN and opcode. Payloads here are far below 64 KiB.
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

    use super::{accept, acceptance, batch_response, frame, rejection_frames};
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;

    fn upgrade(key: &str, version: &str) -> RequestHead {
        let mut fields = Fields::default();
        fields.push("Sec-WebSocket-Key", key);
        fields.push("Sec-WebSocket-Version", version);
        RequestHead { method: "GET".into(), target: "/v2".into(), minor: 1, fields }
    }

    #[test]
    fn the_accept_value_is_that_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_websocket_gets_a_text_frame_and_is_closed_with_4001() {
        let head = acceptance(&upgrade("dGhlIHNhbXBsZSBub25jZQ==", "13"), "now").unwrap();
        assert!(head.ends_with(b"\r\n\r\n"));
        let frames = rejection_frames();
        assert_eq!((frames[0], frames[1]), (0x81, 125));
        let text: serde_json::Value = serde_json::from_slice(&frames[2..127]).unwrap();
        assert_eq!(text["type"], "not_authorised");
        let close = &frames[127..];
        assert_eq!((close[0], usize::from(close[1]) + 2), (0x88, close.len()));
        assert_eq!(u16::from_be_bytes([close[2], close[3]]), 4001);
    }

    #[test]
    fn a_longer_frame_has_its_length_in_two_bytes() {
        let mut bytes = Vec::new();
        frame(&mut bytes, 0x81, &[b'x'; 126]);
        assert_eq!((&bytes[..4], bytes.len()), ([0x81, 126, 0, 126].as_slice(), 130));
    }

    #[test]
    fn an_invalid_handshake_is_not_accepted() {
        for (key, version) in [("", "13"), ("short", "13"), ("dGhlIHNhbXBsZSBub25jZQ==", "8")] {
            assert!(acceptance(&upgrade(key, version), "now").is_none(), "{key} {version}");
        }
        assert_eq!(batch_response().status, 403);
    }
}
