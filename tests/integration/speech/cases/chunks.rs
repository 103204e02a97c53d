//! Chunked bodies behind a head that is in order: the service may see the head and whole chunks before
//! the fault, never the fault and never an end of the body.

use super::{BAD, Case};

pub(crate) const HEAD: &str =
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

/// `bytes` are the body alone.
pub(crate) fn cases() -> Vec<Case> {
    const CHUNK: &str = "9112 7.1";
    const EXTENSION: &str = "9112 7.1.1";
    const TRAILER: &str = "9112 7.1.2";
    let case =
        |name, clause, body: &[u8]| Case { name, clause, bytes: body.to_vec(), statuses: BAD };
    let long_extension = [&b"5;"[..], &b"x".repeat(5_000), b"\r\nhello\r\n0\r\n\r\n"].concat();
    let long_trailers = [&b"0\r\n"[..], &b"X: y\r\n".repeat(2_000), b"\r\n"].concat();
    let many_trailers = [&b"0\r\n"[..], &b"X: y\r\n".repeat(40), b"\r\n"].concat();
    let zeros = [&b"0".repeat(300)[..], b"5\r\nhello\r\n0\r\n\r\n"].concat();
    vec![
        case("no size", CHUNK, b"\r\nhello\r\n0\r\n\r\n"),
        case("a negative size", CHUNK, b"-5\r\nhello\r\n0\r\n\r\n"),
        case("a size with a sign", CHUNK, b"+5\r\nhello\r\n0\r\n\r\n"),
        case("a size with 0x", CHUNK, b"0x5\r\nhello\r\n0\r\n\r\n"),
        case("a size with h", CHUNK, b"5h\r\nhello\r\n0\r\n\r\n"),
        case("a size in quotes", CHUNK, b"\"5\"\r\nhello\r\n0\r\n\r\n"),
        case("a size with an underscore", CHUNK, b"0_5\r\nhello\r\n0\r\n\r\n"),
        case("a size with a fraction", CHUNK, b"5.0\r\nhello\r\n0\r\n\r\n"),
        case("a space before the size", CHUNK, b" 5\r\nhello\r\n0\r\n\r\n"),
        case("a tab before the size", CHUNK, b"\t5\r\nhello\r\n0\r\n\r\n"),
        case("a form feed behind the size", CHUNK, b"5\x0c\r\nhello\r\n0\r\n\r\n"),
        case("a word behind the size", CHUNK, b"5 x\r\nhello\r\n0\r\n\r\n"),
        case("NUL behind the size", CHUNK, b"5\0\r\nhello\r\n0\r\n\r\n"),
        case("a size of 17 digits", CHUNK, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        case("a size of 16 digits", CHUNK, b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        case("a size of 300 zeros", CHUNK, &zeros),
        case("LF behind the size", CHUNK, b"5\nhello\r\n0\r\n\r\n"),
        case("CR behind the size", CHUNK, b"5\rhello\r\n0\r\n\r\n"),
        case("CR CR LF behind the size", CHUNK, b"5\r\r\nhello\r\n0\r\n\r\n"),
        case("no line end behind the data", CHUNK, b"5\r\nhello0\r\n\r\n"),
        case("LF behind the data", CHUNK, b"5\r\nhello\n0\r\n\r\n"),
        case("CR behind the data", CHUNK, b"5\r\nhello\r0\r\n\r\n"),
        case("more data than the size says", CHUNK, b"5\r\nhello!\r\n0\r\n\r\n"),
        case("less data than the size says", CHUNK, b"6\r\nhello\r\n0\r\n\r\n"),
        case("CR in an extension", EXTENSION, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        case("LF in an extension", EXTENSION, b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        case("NUL in an extension", EXTENSION, b"5;a\0b\r\nhello\r\n0\r\n\r\n"),
        case("a control character in an extension", EXTENSION, b"5;a=\x01\r\nhello\r\n0\r\n\r\n"),
        case("an extension without a semicolon", EXTENSION, b"5,a\r\nhello\r\n0\r\n\r\n"),
        case("an extension of 5,000 bytes", EXTENSION, &long_extension),
        case("LF behind the last chunk", CHUNK, b"0\n\r\n"),
        case("LF at the end", CHUNK, b"0\r\n\n"),
        case("a trailer without a colon", TRAILER, b"0\r\nX\r\n\r\n"),
        case("a trailer without a name", TRAILER, b"0\r\n: x\r\n\r\n"),
        case("a trailer with a space before the colon", TRAILER, b"0\r\nX : y\r\n\r\n"),
        case("a trailer with a space first", TRAILER, b"0\r\n X: y\r\n\r\n"),
        case("a folded trailer", TRAILER, b"0\r\nX: y\r\n z\r\n\r\n"),
        case("LF behind a trailer", TRAILER, b"0\r\nX: y\n\r\n"),
        case("CR in a trailer", TRAILER, b"0\r\nX: y\rz\r\n\r\n"),
        case("NUL in a trailer", TRAILER, b"0\r\nX: y\0\r\n\r\n"),
        case("a control character in a trailer", TRAILER, b"0\r\nX: \x01\r\n\r\n"),
        case("trailers of 12,000 bytes", TRAILER, &long_trailers),
        case("forty trailers", TRAILER, &many_trailers),
    ]
}
