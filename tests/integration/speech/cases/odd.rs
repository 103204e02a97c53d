//! Requests that are legal but odd: they pass, and the service gets them in one shape only.

/// A request and what the service must get, to the byte. `{path}` as in the other cases; `{ours}` stands
/// for the fields that the gate adds behind the client's own.
pub(crate) struct Odd {
    pub(crate) name: &'static str,
    pub(crate) sent: &'static str,
    pub(crate) seen: &'static str,
}

/// What `{ours}` stands for, on a listener whose scheme is `proto`.
pub(crate) fn ours(proto: &str) -> String {
    format!(
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Host: localhost\r\n"
    )
}

const PLAIN: &str = "GET {path} HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n";
const POST: &str =
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{ours}Content-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST {path} HTTP/1.1\r\nHost: localhost\r\n{ours}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

macro_rules! get {
    ($lines:literal) => {
        concat!("GET {path} HTTP/1.1\r\nHost: localhost\r\n", $lines, "\r\n")
    };
}

macro_rules! post {
    ($lines:literal, $body:literal) => {
        concat!("POST {path} HTTP/1.1\r\nHost: localhost\r\n", $lines, "\r\n", $body)
    };
}

pub(crate) fn cases() -> Vec<Odd> {
    let case = |name, sent, seen| Odd { name, sent, seen };
    vec![
        case("an empty line first", concat!("\r\n", get!("")), PLAIN),
        case(
            "a method nobody knows",
            "BREW {path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "BREW {path} HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n",
        ),
        case(
            "the form for proxies",
            "GET http://localhost{path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            PLAIN,
        ),
        case(
            "the form for proxies in other case",
            "GET HTTP://LOCALHOST{path} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            PLAIN,
        ),
        case(
            "white space around a value",
            "GET {path} HTTP/1.1\r\nHost: \t localhost \t\r\n\r\n",
            PLAIN,
        ),
        case(
            "no white space before a value",
            "GET {path} HTTP/1.1\r\nHost:localhost\r\n\r\n",
            PLAIN,
        ),
        case("a later minor version", "GET {path} HTTP/1.2\r\nHost: localhost\r\n\r\n", PLAIN),
        case("the latest minor version", "GET {path} HTTP/1.9\r\nHost: localhost\r\n\r\n", PLAIN),
        case(
            "a path as browsers send it",
            "GET {path}/[1]|^{é} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET {path}/%5B1%5D%7C%5E%7B%C3%A9%7D HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n",
        ),
        case(
            "forged tales of what it was before",
            get!("X-Original-URL: /a\r\nX_Rewrite_URL: /b\r\nX-Original-Method: POST\r\n"),
            PLAIN,
        ),
        case("an empty value", get!("X-A:\r\n"), get!("X-A: \r\n{ours}")),
        case(
            "two slashes",
            "GET {path}//a/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET {path}//a/ HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n",
        ),
        case(
            "a query of everything",
            "GET {path}?a=/../&b[]=%2f%00{}|\\^`\"<> HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET {path}?a=/../&b%5B%5D=%2f%00%7B%7D%7C%5C%5E%60%22%3C%3E HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n",
        ),
        case(
            "HTTP/1.0",
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
            PLAIN,
        ),
        case(
            "HTTP/1.0 with a body",
            "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            POST,
        ),
        case(
            "Connection names Content-Length",
            post!("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
            POST,
        ),
        case(
            "Connection names it in other case",
            post!("Content-Length: 5\r\nConnection: close, content-LENGTH\r\n", "hello"),
            POST,
        ),
        case("Connection names Host", get!("Connection: Host\r\n"), PLAIN),
        case(
            "Connection names Authorization",
            get!("Authorization: Bearer x\r\nConnection: Authorization\r\n"),
            get!("Authorization: Bearer x\r\n{ours}"),
        ),
        case(
            "Connection names what we add",
            get!("Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n"),
            PLAIN,
        ),
        case(
            "Connection names Transfer-Encoding",
            post!(
                "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\n\r\n"
            ),
            CHUNKED,
        ),
        case(
            "Connection names a field of the client's",
            get!("Connection: X-Mine\r\nX-Mine: 1\r\n"),
            PLAIN,
        ),
        case(
            "fields of one hop",
            get!("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"),
            PLAIN,
        ),
        case(
            "an upgrade to HTTP/2",
            get!(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
            ),
            PLAIN,
        ),
        case(
            "an upgrade to HTTP/2 that Connection does not name",
            get!("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
            PLAIN,
        ),
        case("an upgrade to TLS", get!("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"), PLAIN),
        case("forged X-Forwarded-For", get!("X-Forwarded-For: 10.0.0.1\r\n"), PLAIN),
        case(
            "forged X-Forwarded-For twice",
            get!("x-forwarded-for: 10.0.0.1\r\nX-FORWARDED-FOR: ::1\r\n"),
            PLAIN,
        ),
        case(
            "forged X-Forwarded-Proto and -Host",
            get!("X-Forwarded-Proto: https\r\nX-Forwarded-Host: other\r\n"),
            PLAIN,
        ),
        case(
            "forged relatives of these",
            get!(
                "X-Forwarded-Port: 1\r\nX-Forwarded-Server: a\r\nX-Forwarded-Prefix: /b\r\nX-Real-IP: 10.0.0.1\r\n"
            ),
            PLAIN,
        ),
        case("forged Forwarded", get!("Forwarded: for=10.0.0.1;proto=https\r\n"), PLAIN),
        case(
            "underscores that CGI takes for hyphens",
            get!(
                "X_Forwarded_For: 10.0.0.1\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\nX-Forwarded_Host: a\r\n"
            ),
            PLAIN,
        ),
        case("underscores of the client's own", get!("X_Mine: 1\r\n"), get!("X_Mine: 1\r\n{ours}")),
        case("a length with zeros first", post!("Content-Length: 005\r\n", "hello"), POST),
        case(
            "a length of 0",
            post!("Content-Length: 0\r\n", ""),
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{ours}Content-Length: 0\r\n\r\n",
        ),
        case(
            "no length at all",
            post!("", ""),
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{ours}\r\n",
        ),
        case(
            "GET with a body",
            get!("Content-Length: 0\r\n"),
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{ours}Content-Length: 0\r\n\r\n",
        ),
        case(
            "chunked in other case",
            post!("transfer-encoding: ChUnKeD\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            CHUNKED,
        ),
        case(
            "chunked between tabs",
            post!("Transfer-Encoding:\tchunked\t\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            CHUNKED,
        ),
        case(
            "chunked and a comma",
            post!("Transfer-Encoding: chunked,\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            CHUNKED,
        ),
        case(
            "chunk sizes with zeros first and extensions",
            post!("Transfer-Encoding: chunked\r\n", "0005;a=b;c=\"d\"\r\nhello\r\n000;x\r\n\r\n"),
            CHUNKED,
        ),
        case(
            "white space before an extension",
            post!("Transfer-Encoding: chunked\r\n", "5 ;a=b\r\nhello\r\n0\r\n\r\n"),
            CHUNKED,
        ),
        case(
            "white space behind chunk sizes",
            post!("Transfer-Encoding: chunked\r\n", "5 \t \r\nhello\r\n0 \r\n\r\n"),
            CHUNKED,
        ),
        case(
            "chunk sizes in capitals",
            post!("Transfer-Encoding: chunked\r\n", "A\r\n0123456789\r\n0\r\n\r\n"),
            post!("{ours}Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
        ),
        case(
            "trailers that belong into a head",
            post!(
                "Transfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: other\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 10.0.0.1\r\nX_Forwarded_For: 10.0.0.1\r\nForwarded: for=a\r\nCookie: a\r\nExpect: x\r\nUpgrade: x\r\n\r\n"
            ),
            CHUNKED,
        ),
        case(
            "trailers of the client's own",
            post!(
                "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
                "5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n"
            ),
            post!(
                "Trailer: X-Sum\r\n{ours}Transfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n"
            ),
        ),
        case(
            "an expectation in other case",
            post!("Expect: 100-Continue\r\nContent-Length: 5\r\n", "hello"),
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\n{ours}Content-Length: 5\r\n\r\nhello",
        ),
        case(
            "two fields of one name",
            get!("X-A: 1\r\nx-a: 2\r\n"),
            get!("X-A: 1\r\nx-a: 2\r\n{ours}"),
        ),
    ]
}
