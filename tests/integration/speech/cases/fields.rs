//! Field lines.

use super::{BAD, Case, fields, head};

pub(crate) fn cases() -> Vec<Case> {
    const LINE: &str = "9112 5";
    const COLON: &str = "9112 5.1";
    const FOLD: &str = "9112 5.2";
    const VALUE: &str = "9110 5.5";
    const NAME: &str = "9110 5.1";
    let many = b"A: b\r\n".repeat(101);
    let large = [&b"A: "[..], &b"b".repeat(40_000)].concat();
    let large_in_all = [&b"A: "[..], &b"b".repeat(700), b"\r\n"].concat().repeat(60);
    let long_name = [&b"a".repeat(40_000)[..], b": b"].concat();
    vec![
        fields("a space before the colon", COLON, b"X-A : b", BAD),
        fields("a tab before the colon", COLON, b"X-A\t: b", BAD),
        fields("a space before the colon of Content-Length", COLON, b"Content-Length : 5", BAD),
        fields(
            "a space before the colon of Transfer-Encoding",
            COLON,
            b"Transfer-Encoding : chunked",
            BAD,
        ),
        fields("a space in a name", NAME, b"X A: b", BAD),
        fields("no name", NAME, b": b", BAD),
        fields("no name and no value", NAME, b":", BAD),
        fields("no colon", LINE, b"X-A", BAD),
        fields("no colon but a value", LINE, b"X-A b", BAD),
        fields("a name in brackets", NAME, b"(X-A): b", BAD),
        fields("a name in quotes", NAME, b"\"X-A\": b", BAD),
        fields("a slash in a name", NAME, b"X/A: b", BAD),
        fields("an at sign in a name", NAME, b"X@A: b", BAD),
        fields("a name over 127", NAME, b"X-\xc3\xa9: b", BAD),
        fields("a control character in a name", NAME, b"X-\x01A: b", BAD),
        fields("NUL in a name", NAME, b"X-\0A: b", BAD),
        fields("NUL before a name", NAME, b"\0Content-Length: 5", BAD),
        fields("NUL in a value", VALUE, b"X-A: b\0c", BAD),
        fields("NUL at the end of a value", VALUE, b"X-A: b\0", BAD),
        fields("a control character in a value", VALUE, b"X-A: b\x01c", BAD),
        fields("a vertical tab in a value", VALUE, b"X-A: b\x0bc", BAD),
        fields("a form feed in a value", VALUE, b"X-A: \x0cb", BAD),
        fields("a backspace in a value", VALUE, b"X-A: b\x08", BAD),
        fields("an escape in a value", VALUE, b"X-A: \x1b[0m", BAD),
        fields("DEL in a value", VALUE, b"X-A: b\x7f", BAD),
        fields("CR in a value", VALUE, b"X-A: b\rContent-Length: 5", BAD),
        fields("LF in a value", VALUE, b"X-A: b\nContent-Length: 5", BAD),
        fields("a folded value", FOLD, b"X-A: b\r\n c", BAD),
        fields("a value folded with a tab", FOLD, b"X-A: b\r\n\tc", BAD),
        fields("a folded Content-Length", FOLD, b"Content-Length:\r\n 5", BAD),
        fields("a folded Transfer-Encoding", FOLD, b"Transfer-Encoding:\r\n chunked", BAD),
        fields("a field folded into the one before", FOLD, b"X-A: b\r\n Content-Length: 5", BAD),
        fields("a line of spaces", FOLD, b"X-A: b\r\n   \r\nX-B: c", BAD),
        fields("a fold at the end of the head", FOLD, b"X-A: b\r\n ", BAD),
        head(
            "a space before the first field",
            "9112 2.2",
            b"GET {path} HTTP/1.1\r\n Host: localhost\r\n\r\n",
            BAD,
        ),
        head(
            "a tab before the first field",
            "9112 2.2",
            b"GET {path} HTTP/1.1\r\n\tHost: localhost\r\n\r\n",
            BAD,
        ),
        head(
            "a first line of spaces",
            "9112 2.2",
            b"GET {path} HTTP/1.1\r\n \r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        head("a folded Host", FOLD, b"GET {path} HTTP/1.1\r\nHost:\r\n localhost\r\n\r\n", BAD),
        head(
            "a space before the colon of Host",
            COLON,
            b"GET {path} HTTP/1.1\r\nHost : localhost\r\n\r\n",
            BAD,
        ),
        fields("101 fields", "9110 5.4", many.trim_ascii_end(), &[431]),
        fields("a field of 40,000 bytes", "9110 5.4", &large, &[431]),
        fields("60 fields of 700 bytes", "9110 5.4", large_in_all.trim_ascii_end(), &[431]),
        fields("a name of 40,000 bytes", "9110 5.4", &long_name, &[400, 431]),
        fields(
            "an expectation nobody knows",
            "9110 10.1.1",
            b"Content-Length: 5\r\nExpect: 200-ok",
            &[417],
        ),
        fields(
            "two expectations",
            "9110 10.1.1",
            b"Content-Length: 5\r\nExpect: 100-continue, x",
            &[417],
        ),
        fields("an empty expectation", "9110 10.1.1", b"Content-Length: 5\r\nExpect:", &[400, 417]),
        fields(
            "two Authorization",
            "9110 5.3",
            b"Authorization: Bearer a\r\nAuthorization: Bearer b",
            BAD,
        ),
        fields(
            "two Authorization in other case",
            "9110 5.3",
            b"authorization: Basic YQ==\r\nAUTHORIZATION: Bearer b",
            BAD,
        ),
    ]
}
