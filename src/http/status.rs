//! Reason phrases of status codes.

use std::borrow::Cow;

/// The reason phrase `sent` with a status, to be kept; the usual one needs no memory.
pub(crate) fn kept(status: u16, sent: &str) -> Cow<'static, str> {
    let usual = phrase(status);
    if sent == usual { Cow::Borrowed(usual) } else { Cow::Owned(sent.to_owned()) }
}

/// The reason phrase of a status that the gate, the management API or the license authority gives
/// (RFC 9110 section 15); `Error` for every other.
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}
