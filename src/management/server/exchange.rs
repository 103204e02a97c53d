//! One exchange: turns tiny_http's request into a value and sends the answer.
//!
//! When a request is dropped, tiny_http reads the rest of its body into one allocation as large as its
//! `Content-Length`; and it takes the rest of an unread chunked body for the next request. This file
//! prevents both.

use std::io::{self, ErrorKind, Read, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tiny_http::{Header, StatusCode};

use super::Handler;
use crate::log::Log;
use crate::management::api::request::{Method, Request};
use crate::management::api::response::{Response, SERVER};

/// Bodies up to this many bytes are in memory when tiny_http hands over a request.
const MAX_BUFFERED_BODY: usize = 1024;

/// Longest declared body whose rest tiny_http may read, in bytes; it allocates all of it at once.
const MAX_DRAINED_BODY: usize = 256 << 20;

/// A request as tiny_http provides it.
pub(crate) struct ServerRequest(pub(super) tiny_http::Request);

impl ServerRequest {
    fn header(&self, name: &'static str) -> Option<&str> {
        let found = self.0.headers().iter().find(|header| header.field.equiv(name));
        found.map(|header| header.value.as_str())
    }

    fn is_chunked(&self) -> bool {
        self.header("Transfer-Encoding").is_some()
    }

    /// Whether reading the body, or dropping it unread, may wait for the client.
    pub(crate) fn has_long_body(&self) -> bool {
        self.is_chunked()
            || self.header("Expect").is_some()
            || self.0.body_length().is_some_and(|length| length > MAX_BUFFERED_BODY)
    }

    fn connection_says(&self, word: &str) -> bool {
        self.header("Connection").is_some_and(|value| value.to_ascii_lowercase().contains(word))
    }

    /// Calls the handler; returns `None` if the answer may block and `may_block` is false.
    pub(crate) fn call_handler(
        &mut self,
        handler: &Handler,
        log: &Log,
        may_block: bool,
    ) -> Option<Response> {
        catch_unwind(AssertUnwindSafe(|| self.dispatch(handler, may_block))).unwrap_or_else(|_| {
            // Without the query, which may hold a client's tokens.
            let path = self.0.url().split('?').next().unwrap_or_default();
            log.error(format_args!(
                "internal error (panic) on {} {path}; answered 500",
                self.0.method()
            ));
            Some(Response::internal())
        })
    }

    /// Sends `answer`, or calls the handler if there is none yet.
    pub(crate) fn answer(mut self, answer: Option<Response>, handler: &Handler, log: &Log) {
        if self.0.body_length().is_some_and(|length| length > MAX_DRAINED_BODY) {
            // Dropping the request would allocate that much, and a failed allocation aborts the process. The
            // connection and its thread are leaked instead, without an answer. The gate rejects such lengths
            // with 413, so this request came through the socket itself.
            log.warn(format_args!(
                "a request with an absurd Content-Length was dropped without an answer"
            ));
            return std::mem::forget(self.0);
        }
        let Some(answer) = answer.or_else(|| self.call_handler(handler, log, true)) else { return };
        if self.is_chunked() && !self.connection_says("close") && !self.drain() {
            log.warn("a chunked request is malformed or too long; its connection was dropped");
            return std::mem::forget(self.0);
        }
        if let Err(error) = self.send(answer) {
            log.info(format_args!("cannot send an answer of the management API: {error}"));
        }
    }

    fn send(self, answer: Response) -> io::Result<()> {
        if self.has_long_body() {
            // tiny_http sends the answer first and then reads the rest of the body.
            return self.0.respond(response(answer));
        }
        let head_only = matches!(self.0.method(), tiny_http::Method::Head);
        // tiny_http's own writer allocates each field and writes five times.
        let bytes = answer.to_bytes(head_only, None);
        let mut out = self.0.into_writer();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(error) if !is_disconnect(error.kind()) => Err(error),
            _ => Ok(()),
        }
    }

    fn dispatch(&mut self, handler: &Handler, may_block: bool) -> Option<Response> {
        let owned = |name| self.header(name).map(str::to_owned);
        let (path, query) = self.0.url().split_once('?').unwrap_or((self.0.url(), ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let method = Method::parse(self.0.method().as_str());
        let (content_type, forwarded_for, forwarded_proto) =
            (owned("Content-Type"), owned("X-Forwarded-For"), owned("X-Forwarded-Proto"));
        let forwarded_host = owned("X-Forwarded-Host");
        let length = self.0.body_length();
        // On an upgrade tiny_http passes the whole connection as the body, which has no end.
        let mut body: Box<dyn Read> = if self.connection_says("upgrade") {
            Box::new(io::empty())
        } else {
            Box::new(Body(&mut self.0))
        };
        let mut request = Request {
            method,
            path,
            query,
            content_type,
            forwarded_for,
            forwarded_proto,
            forwarded_host,
            length,
            body: &mut *body,
        };
        handler(&mut request, may_block)
    }

    /// Reads a chunked body to its end. tiny_http would take the rest for the next request, so that a body
    /// could smuggle a request past the gate.
    fn drain(&mut self) -> bool {
        let mut rest = self.0.as_reader().take(MAX_DRAINED_BODY as u64);
        io::copy(&mut rest, &mut io::sink()).is_ok() && rest.limit() > 0
    }
}

/// Asks for the body only when it is read, because that sends the answer to `Expect: 100-continue`.
struct Body<'a>(&'a mut tiny_http::Request);

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_reader().read(buffer)
    }
}

/// Whether the client has disconnected, which is not worth a log line.
fn is_disconnect(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset)
}

fn response(answer: Response) -> tiny_http::Response<io::Cursor<Vec<u8>>> {
    let content_type = ("Content-Type", answer.content_type.to_owned());
    let server = (SERVER.0, SERVER.1.to_owned());
    let headers = [content_type, server]
        .into_iter()
        .chain(answer.headers)
        .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
        .collect();
    let length = answer.body.len();
    tiny_http::Response::new(
        StatusCode(answer.status),
        headers,
        io::Cursor::new(answer.body),
        Some(length),
        None,
    )
    .with_chunked_threshold(usize::MAX)
}
