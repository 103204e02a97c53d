//! Which framing is accepted and which is rejected.

#![allow(clippy::unwrap_used)]

use super::{Decoder, Encoder, Error, Length, Sender, of_request};
use crate::http::fields::Fields;
use crate::http::head::RequestHead;

fn framed(lines: &[(&str, &str)]) -> Result<Length, u16> {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.push(name, *value);
    }
    let head = RequestHead { method: "POST".into(), target: "/".to_owned(), minor: 1, fields };
    of_request(&head).map_err(|error| error.status)
}

fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Error> {
    decode_from(Sender::Client, pieces)
}

fn decode_from(sender: Sender, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Error> {
    let mut decoder = Decoder::new(sender, Length::Chunked);
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
fn ambiguous_chunks_are_rejected() {
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
    let plain = &b"0\r\nContent-Length: 5\r\nX-Sum: 9\r\nAuthorization: x\r\n\r\n"[..];
    let padded = b"0\r\nContent-Length : 5\r\nX-Sum \t: 9\r\nAuthorization : x\r\n\r\n";
    for (sender, body) in
        [(Sender::Client, plain), (Sender::Server, plain), (Sender::Server, padded)]
    {
        let mut decoder = Decoder::new(sender, Length::Chunked);
        decoder.decode(body, &mut Vec::new()).unwrap();
        assert_eq!(decoder.trailers.len(), 1);
        assert_eq!(decoder.trailers.first("x-sum"), Some(&b"9"[..]));
    }
}

#[test]
fn blanks_behind_a_chunk_size_are_dropped() {
    for body in [&b"4 \t \r\nWiki\r\n0   \r\n\r\n"[..], b"4 \t;x\r\nWiki\r\n00 ; y=\"z\"\r\n\r\n"] {
        let single: Vec<&[u8]> = body.chunks(1).collect();
        for sender in [Sender::Client, Sender::Server] {
            let whole = Ok((b"Wiki".to_vec(), true, body.len()));
            assert_eq!(decode_from(sender, &[body]), whole);
            assert_eq!(decode_from(sender, &single), whole);
        }
    }
}

#[test]
fn the_chunked_framing_of_a_server_has_limits_too() {
    let decode = |body: &[u8]| decode_from(Sender::Server, &[body]);
    let zeros = [&b"0".repeat(300)[..], b"4\r\nWiki\r\n", &b"0".repeat(300), b"\r\n\r\n"].concat();
    let extension = [&b"4;"[..], &b"x".repeat(4_000), b"\r\nWiki\r\n0\r\n\r\n"].concat();
    let trailers = [&b"4\r\nWiki\r\n0\r\n"[..], &b"X: y\r\n".repeat(101), b"\r\n"].concat();
    for body in [zeros, extension, trailers] {
        assert_eq!(decode(&body), Ok((b"Wiki".to_vec(), true, body.len())));
        assert!(decode_from(Sender::Client, &[&body]).is_err(), "not from clients");
    }
    let extension = [&b"4;"[..], &b"x".repeat(5_000), b"\r\nWiki\r\n0\r\n\r\n"].concat();
    let trailers = [&b"0\r\nX: "[..], &b"y".repeat(32 << 10), b"\r\n\r\n"].concat();
    for body in [
        &extension[..],
        &trailers,
        b"10000000000000000\r\n",
        b" 4\r\nWiki\r\n0\r\n\r\n",
        b"4 4\r\nWiki\r\n0\r\n\r\n",
        b"4\x0c\r\nWiki\r\n0\r\n\r\n",
        b"4 \n",
        b"0\r\n : y\r\n\r\n",
        b"0\r\nX\x0c: y\r\n\r\n",
        b"0\r\n X : y\r\n\r\n",
        b"0\r\nX: y\r\n z : y\r\n\r\n",
        b"0\r\nX\r\n\r\n",
    ] {
        assert!(decode(body).is_err(), "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_empty_piece_does_not_end_a_chunked_body() {
    let mut out = Vec::new();
    Encoder::Chunked.encode(b"", &mut out);
    Encoder::Chunked.encode(b"0123456789abcdef!", &mut out);
    Encoder::Chunked.end(&Fields::default(), &mut out);
    assert_eq!(out, b"11\r\n0123456789abcdef!\r\n0\r\n\r\n");
}
