//! Entry points for the fuzzer into the code that reads untrusted bytes first: each function takes any bytes and panics
//! if one of its invariants is violated.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use base64::Engine as _;

use crate::gate::connection::proxy_protocol::{self, LONGEST, Source};
use crate::gate::request::basic_auth::{Authenticator, Check, Expected, Outcome};
use crate::http::body;
use crate::http::body::{Decoder, Encoder, Length, Sender};
use crate::http::forwarded::{self, Client, Identity};
use crate::http::head::{HeadBuffer, RequestHead};
use crate::http::target::Target;

/// Request heads: the result does not depend on how the bytes arrive, and a forwarded head parses to the judged one.
pub fn request_head(data: &[u8]) {
    same_in_pieces(data, |buffer| {
        buffer
            .request()
            .map(|head| head.map(|head| (head.method, head.target, head.minor, head.fields)))
    });
    let mut buffer = HeadBuffer::default();
    buffer.extend(data);
    while let Ok(Some(head)) = buffer.request() {
        let length = body::of_request(&head);
        let Ok(target) = Target::of(&head) else { continue };
        let is_bare = |byte: u8| !byte.is_ascii_graphic() || b"\"#<>[\\]^`{|}".contains(&byte);
        assert!(target.path.starts_with('/') && !target.path_and_query().bytes().any(is_bare));
        assert!(!target.path.split('/').any(|segment| segment == ".." || segment == "."));

        let (method, path) = (&head.method, target.path_and_query());
        let mut text = format!("{method} {path} HTTP/1.{}\r\n", head.minor).into_bytes();
        head.fields.write_to(&mut text);
        let mut again = HeadBuffer::default();
        again.extend(&text);
        let again = again.request().ok().flatten().filter(|a| a.fields == head.fields);
        let same = |again: &RequestHead| {
            let read = Target::of(again).map(|target| target.path_and_query());
            body::of_request(again) == length && read.as_ref() == Ok(&path)
        };
        assert!(again.is_some_and(|again| same(&again)), "parsed differently");
    }
}

/// Response heads: the result does not depend on how the bytes arrive, and a forwarded head parses to the received one.
pub fn answer_head(data: &[u8]) {
    same_in_pieces(data, |buffer| {
        buffer
            .response(&mut [].as_slice())
            .map(|head| head.map(|head| (head.status, head.reason, head.minor, head.fields)))
    });
    let (mut buffer, mut unread) = (HeadBuffer::default(), data);
    while let Ok(Some(head)) = buffer.response(&mut unread) {
        let _ = body::of_response("GET", &head);
        let mut text =
            format!("HTTP/1.{} {} {}\r\n", head.minor, head.status, head.reason).into_bytes();
        head.fields.write_to(&mut text);
        let again = HeadBuffer::default().response(&mut text.as_slice()).ok().flatten();
        assert!(again.is_some_and(|a| a.fields == head.fields && a.status == head.status));
    }
}

/// Chunked bodies of clients and services: the content does not depend on how the bytes arrive, and is the same after
/// it was encoded again.
pub fn chunked(data: &[u8]) {
    for sender in [Sender::Client, Sender::Server] {
        let whole = decoded(sender, data, data.len().max(1));
        assert_eq!(whole, decoded(sender, data, 1), "byte by byte");
        let Some((content, taken, true)) = whole else { continue };
        assert!(content.len() < taken && taken <= data.len());
        let mut decoder = Decoder::new(sender, Length::Chunked);
        let _ = decoder.decode(data, &mut Vec::new());
        let mut wire = Vec::new();
        content.chunks(7).for_each(|piece| Encoder::Chunked.encode(piece, &mut wire));
        Encoder::Chunked.end(&decoder.trailers, &mut wire);
        assert_eq!(decoded(sender, &wire, 3), Some((content, wire.len(), true)), "encoded again");
    }
}

/// `Authorization`: only the correct credentials are accepted, in any spelling.
pub fn credentials(data: &[u8]) {
    let Ok(authenticator) = Authenticator::new() else { return };
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let check = authenticator.check(Some(data), &Expected::Default, peer, Instant::now());
    let accepted = matches!(check, Check::Decided(Outcome::Accepted { first: false }));
    let encoded = data.get(6..).unwrap_or_default().trim_ascii();
    let pair = base64::prelude::BASE64_STANDARD.decode(encoded).unwrap_or_default();
    let scheme = data.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "));
    let wanted = scheme && pair == b"admin:admin";
    assert_eq!(accepted, wanted);
}

/// PROXY protocol headers: the result does not depend on how the bytes arrive, and an address is read as it was
/// written.
pub fn proxy_header(data: &[u8]) {
    let whole = proxy_protocol::parse(data);
    let mut decided = false;
    for end in 0..data.len().min(LONGEST + 1) {
        let result = proxy_protocol::parse(data.get(..end).unwrap_or_default());
        assert!(!decided || result == whole, "{end} bytes: {result:?}, then {whole:?}");
        decided |= result != Ok(None);
    }
    let Ok(Some((source, length))) = whole else {
        assert!(whole.is_err() || data.len() < LONGEST, "waits for more");
        return;
    };
    assert!(length <= LONGEST && length <= data.len());
    if let Source::Client(address) = source {
        let family = if address.is_ipv4() { "TCP4" } else { "TCP6" };
        let (ip, port) = (address.ip(), address.port());
        let line = format!("PROXY {family} {ip} {ip} {port} 0\r\n");
        assert_eq!(proxy_protocol::parse(line.as_bytes()), Ok(Some((source, line.len()))));
    }
}

/// `X-Forwarded-For` and `Forwarded`: whatever a client has written, it is not taken for another one once a
/// proxy has added the client's address.
pub fn forwarded(data: &[u8]) {
    let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let added = Ipv4Addr::new(192, 0, 2, 7);
    for (name, own) in
        [("X-Forwarded-For", format!(", {added}")), ("Forwarded", format!(", for={added}"))]
    {
        let mut buffer = HeadBuffer::default();
        for part in
            [b"GET / HTTP/1.1\r\n", name.as_bytes(), b": ", data, own.as_bytes(), b"\r\n\r\n"]
        {
            buffer.extend(part);
        }
        let Ok(Some(head)) = buffer.request() else { continue };
        let other = if name == "Forwarded" { "x-forwarded-for" } else { "forwarded" };
        // A line end in the data may have begun other fields.
        if head.fields.all(name).count() != 1 || head.fields.first(other).is_some() {
            continue;
        }
        if !head.fields.first(name).is_some_and(|value| value.ends_with(own.as_bytes())) {
            continue;
        }
        let client = forwarded::client(proxy, &head.fields, |address| address == proxy);
        let hidden = Client { address: proxy, identity: Identity::Hidden };
        assert!(client == Client::known(added.into()) || client == hidden, "{client:?}");
    }
}

/// Asserts that `next` parses the same from the whole data, byte by byte and in pieces of seven.
fn same_in_pieces<T: PartialEq + Debug, E>(
    data: &[u8],
    next: impl Fn(&mut HeadBuffer) -> Result<Option<T>, E>,
) {
    let heads = |step: usize| {
        let (mut buffer, mut found) = (HeadBuffer::default(), Vec::new());
        for piece in data.chunks(step) {
            buffer.extend(piece);
            loop {
                match next(&mut buffer) {
                    Ok(Some(head)) => found.push(head),
                    Ok(None) => break,
                    Err(_) => return found,
                }
            }
        }
        found
    };
    let whole = heads(data.len().max(1));
    assert_eq!(whole, heads(1), "byte by byte");
    assert_eq!(whole, heads(7), "in sevens");
}

/// Content, bytes taken, and whether the body is complete; `None` if it is malformed.
fn decoded(sender: Sender, data: &[u8], step: usize) -> Option<(Vec<u8>, usize, bool)> {
    let mut decoder = Decoder::new(sender, Length::Chunked);
    let (mut content, mut taken) = (Vec::new(), 0);
    for piece in data.chunks(step) {
        taken += decoder.decode(piece, &mut content).ok()?;
    }
    Some((content, taken, decoder.is_complete()))
}
