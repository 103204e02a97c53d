//! Request lines and line ends.

use super::{BAD, Case, head, line};

pub(crate) fn cases() -> Vec<Case> {
    const LINE: &str = "9112 3";
    const METHOD: &str = "9112 3.1";
    const VERSION: &str = "9112 2.3";
    const LINE_END: &str = "9112 2.2";
    let long = [&b"GET /"[..], &b"a".repeat(9_000), b" HTTP/1.1"].concat();
    let endless = b"a".repeat(40_000);
    vec![
        head("HTTP/0.9", VERSION, b"GET {path}\r\n\r\n", BAD),
        head("HTTP/0.9 with fields", VERSION, b"GET {path}\r\nHost: localhost\r\n\r\n", BAD),
        head("preface of HTTP/2", VERSION, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
        line("version 2.0", VERSION, b"GET {path} HTTP/2.0", &[505]),
        line("version 3.0", VERSION, b"GET {path} HTTP/3.0", &[505]),
        line("version 0.9", VERSION, b"GET {path} HTTP/0.9", &[505]),
        line("version of two digits", VERSION, b"GET {path} HTTP/1.10", BAD),
        line("version of one number", VERSION, b"GET {path} HTTP/1", BAD),
        line("version with a comma", VERSION, b"GET {path} HTTP/1,1", BAD),
        line("version in lower case", VERSION, b"GET {path} http/1.1", BAD),
        line("version in mixed case", VERSION, b"GET {path} Http/1.1", BAD),
        line("another protocol", VERSION, b"GET {path} ICY/1.1", BAD),
        line("version with a sign", VERSION, b"GET {path} HTTP/+1.1", BAD),
        line("no version", LINE, b"GET {path} ", BAD),
        line("no target", LINE, b"GET HTTP/1.1", BAD),
        line("an empty target", LINE, b"GET  HTTP/1.1", BAD),
        line("two spaces before the target", LINE, b"GET  {path} HTTP/1.1", BAD),
        line("two spaces before the version", LINE, b"GET {path}  HTTP/1.1", BAD),
        line("a space behind the version", LINE, b"GET {path} HTTP/1.1 ", BAD),
        line("a space before the method", LINE, b" GET {path} HTTP/1.1", BAD),
        line("tabs for spaces", LINE, b"GET\t{path}\tHTTP/1.1", BAD),
        line("a tab behind the method", LINE, b"GET\t {path} HTTP/1.1", BAD),
        line("a form feed for a space", LINE, b"GET\x0c{path} HTTP/1.1", BAD),
        line("a vertical tab before the version", LINE, b"GET {path}\x0bHTTP/1.1", BAD),
        line("an extra token", LINE, b"GET {path} HTTP/1.1 again", BAD),
        line("a second target", LINE, b"GET {path} /other HTTP/1.1", BAD),
        line("no method", METHOD, b" {path} HTTP/1.1", BAD),
        line("a colon in the method", METHOD, b"G:T {path} HTTP/1.1", BAD),
        line("a slash in the method", METHOD, b"G/T {path} HTTP/1.1", BAD),
        line("brackets for a method", METHOD, b"(GET) {path} HTTP/1.1", BAD),
        line("a method that is not ASCII", METHOD, b"G\xc3\x89T {path} HTTP/1.1", BAD),
        line("a control character in the method", METHOD, b"GE\x01T {path} HTTP/1.1", BAD),
        line("NUL in the method", METHOD, b"GE\0T {path} HTTP/1.1", BAD),
        line("NUL behind the version", LINE, b"GET {path} HTTP/1.1\0", BAD),
        line("CONNECT", "9110 9.3.6", b"CONNECT localhost:80 HTTP/1.1", &[405]),
        line("CONNECT with a path", "9110 9.3.6", b"CONNECT {path} HTTP/1.1", &[404, 405]),
        line("GET in small letters", METHOD, b"get {path} HTTP/1.1", BAD),
        line("POST in small letters", METHOD, b"post {path} HTTP/1.1", BAD),
        line("PATCH in mixed letters", METHOD, b"Patch {path} HTTP/1.1", BAD),
        line("CONNECT in small letters", METHOD, b"connect localhost:80 HTTP/1.1", BAD),
        line("a target of 9,000 bytes", LINE, &long, &[414]),
        line("a line without an end", LINE, &endless, &[414]),
        head("LF alone", LINE_END, b"GET {path} HTTP/1.1\nHost: localhost\n\n", BAD),
        head("LF behind the line", LINE_END, b"GET {path} HTTP/1.1\nHost: localhost\r\n\r\n", BAD),
        head("LF LF at the end", LINE_END, b"GET {path} HTTP/1.1\r\nHost: localhost\r\n\n", BAD),
        head("LF behind a field", LINE_END, b"GET {path} HTTP/1.1\r\nHost: localhost\n\r\n", BAD),
        head("CR behind the line", LINE_END, b"GET {path} HTTP/1.1\rHost: localhost\r\n\r\n", BAD),
        head("CR CR LF", LINE_END, b"GET {path} HTTP/1.1\r\r\nHost: localhost\r\n\r\n", BAD),
        head("CR at the end", LINE_END, b"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\r\n", BAD),
        head(
            "CR in a value",
            LINE_END,
            b"GET {path} HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
            BAD,
        ),
        head("CR in a target", LINE_END, b"GET {path}\rX HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
        head("LF CR", LINE_END, b"GET {path} HTTP/1.1\n\rHost: localhost\n\r\n\r", BAD),
        head(
            "two empty lines first",
            LINE_END,
            b"\r\n\r\nGET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        head(
            "an empty line of LF first",
            LINE_END,
            b"\nGET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        head(
            "a byte order mark first",
            LINE,
            b"\xef\xbb\xbfGET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            BAD,
        ),
        head("NUL first", LINE, b"\0GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
    ]
}
