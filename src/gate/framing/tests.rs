//! What framing is taken for, and what is refused.

#![allow(clippy::unwrap_used)]

use super::{Decoder, Encoder, Length, of_request};
use crate::gate::fields::Fields;
use crate::gate::head::RequestHead;

fn framed(lines: &[(&str, &str)]) -> Result<Length, u16> {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.push(name, *value);
    }
    let head = RequestHead { method: "POST".to_owned(), target: "/".to_owned(), minor: 1, fields };
    of_request(&head).map_err(|malformed| malformed.status)
}

fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), &'static str> {
    let mut decoder = Decoder::new(Length::Chunked);
    let (mut content, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        taken += decoder.decode(piece, &mut content)?;
    }
    Ok((content, decoder.is_complete(), taken))
}

#[test]
fn a_body_has_one_length_or_none() {
    assert_eq!(framed(&[]), Ok(Length::Exact(0)));
    assert_eq!(framed(&[("Content-Length", "12")]), Ok(Length::Exact(12)));
    assert_eq!(framed(&[("Transfer-Encoding", "Chunked")]), Ok(Length::Chunked));
    for lines in [
        &[("Content-Length", "1"), ("Content-Length", "1")][..],
        &[("Content-Length", "1, 1")],
        &[("Content-Length", "+1")],
        &[("Content-Length", "-1")],
        &[("Content-Length", "0x10")],
        &[("Content-Length", "")],
        &[("Content-Length", "1 2")],
        &[("Content-Length", "99999999999999999999")],
        &[("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        &[("Transfer-Encoding", "identity")],
        &[("Transfer-Encoding", "chunked, gzip")],
        &[("Transfer-Encoding", "xchunked")],
        &[("Transfer-Encoding", "")],
        &[("Transfer-Encoding", "chunked;q=1")],
    ] {
        assert_eq!(framed(lines), Err(400), "{lines:?}");
    }
    assert_eq!(framed(&[("Transfer-Encoding", "gzip, chunked")]), Err(501));
    assert_eq!(
        framed(&[("Transfer-Encoding", "chunked"), ("transfer-encoding", "chunked")]),
        Err(501)
    );
}

#[test]
fn chunks_may_come_in_any_pieces() {
    let body = b"4;name=\"v\"\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\nGET";
    assert_eq!(decode(&[body]), Ok((b"Wikipedia".to_vec(), true, body.len() - 3)));
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(decode(&single), Ok((b"Wikipedia".to_vec(), true, body.len() - 3)));
}

#[test]
fn chunks_that_parsers_read_differently_are_refused() {
    for body in [
        &b"4\nWiki\r\n0\r\n\r\n"[..],
        b"4\r\nWikiX\r\n0\r\n\r\n",
        b"4\r\nWiki\n0\r\n\r\n",
        b"0x4\r\nWiki\r\n0\r\n\r\n",
        b" 4\r\nWiki\r\n0\r\n\r\n",
        b"+4\r\nWiki\r\n0\r\n\r\n",
        b"\r\nWiki\r\n0\r\n\r\n",
        b"4 x\r\nWiki\r\n0\r\n\r\n",
        b"4\rX\r\nWiki\r\n0\r\n\r\n",
        b"10000000000000000\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\n folded\r\n\r\n",
    ] {
        assert!(decode(&[body]).is_err(), "{:?}", String::from_utf8_lossy(body));
    }
    let long = format!("4;{}\r\nWiki\r\n", "x".repeat(300));
    assert!(decode(&[long.as_bytes()]).is_err());
}

#[test]
fn trailers_cannot_set_what_decides_framing_or_rights() {
    let mut decoder = Decoder::new(Length::Chunked);
    let body = b"0\r\nContent-Length: 5\r\nX-Sum: 9\r\nAuthorization: x\r\n\r\n";
    decoder.decode(body, &mut Vec::new()).unwrap();
    assert_eq!(decoder.trailers.len(), 1);
}

#[test]
fn an_empty_piece_does_not_end_a_chunked_body() {
    let mut out = Vec::new();
    Encoder::Chunked.encode(b"", &mut out);
    Encoder::Chunked.encode(b"0123456789abcdef!", &mut out);
    Encoder::Chunked.end(&Fields::default(), &mut out);
    assert_eq!(out, b"11\r\n0123456789abcdef!\r\n0\r\n\r\n");
}
