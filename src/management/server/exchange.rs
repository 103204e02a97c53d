//! One exchange: turns tiny_http's request into a value and sends the answer.
//!
//! When a request is dropped, tiny_http reads the rest of its body into one allocation as large as its
//! `Content-Length`; and it takes the rest of an unread chunked body for the next request. This file
//! prevents both.

use std::io::{self, Read as _};

use tiny_http::{Header, StatusCode};
use zeroize::Zeroizing;

use super::Handler;
use crate::log::Log;
use crate::management::LARGEST_BODY;
use crate::management::api;
use crate::management::api::request::{self, BodyError, Method, Request};
use crate::management::api::response::{Response, SERVER};

/// Bodies up to this many bytes are in memory when tiny_http hands over a request.
const MAX_BUFFERED_BODY: usize = 1024;

/// Longest declared body whose rest tiny_http may read, in bytes; it allocates all of it at once.
const MAX_DRAINED_BODY: usize = 256 << 20;

/// A request as tiny_http provides it.
pub(crate) struct ServerRequest(tiny_http::Request);

impl ServerRequest {
    /// Takes a request over from tiny_http, unless its length is absurd.
    pub(crate) fn new(request: tiny_http::Request, log: &Log) -> Option<ServerRequest> {
        if request.body_length().is_some_and(|length| length > MAX_DRAINED_BODY) {
            // Dropping the request would allocate that much, and a failed allocation aborts the process. The
            // connection and its thread are leaked instead, without an answer.
            log.warn("a request with an absurd Content-Length was dropped without an answer");
            std::mem::forget(request);
            return None;
        }
        Some(ServerRequest(request))
    }

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

    /// Calls the handler and sends its answer.
    pub(crate) fn answer(mut self, handler: &Handler, log: &Log) {
        let answer = self.call_handler(handler, log);
        if self.is_chunked() && !self.connection_says("close") && !self.drain() {
            log.warn("a chunked request is malformed or too long; its connection was dropped");
            return std::mem::forget(self.0);
        }
        // tiny_http sends the answer first and then reads the rest of the body.
        if let Err(error) = self.0.respond(response(answer)) {
            log.info(format_args!("cannot send an answer of the management API: {error}"));
        }
    }

    fn call_handler(&mut self, handler: &Handler, log: &Log) -> Response {
        let (path, query) = self.0.url().split_once('?').unwrap_or((self.0.url(), ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let method = Method::parse(self.0.method().as_str());
        let content_type = self.header("Content-Type").map(str::to_owned);
        let accept = self.header("Accept").map(str::to_owned);
        let mut request = Request {
            method,
            path,
            query,
            content_type,
            accept,
            peer: None,
            local: None,
            authority: None,
            body: self.read_body(),
        };
        api::call(log, &mut request, |request| Ok(handler(request)))
    }

    /// Reads the whole body, unless its declared length is over the limit. A client that expects 100 (Continue) is
    /// told to go on.
    fn read_body(&mut self) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        let length = match self.0.body_length() {
            // On an upgrade tiny_http passes the whole connection as the body, which has no end.
            _ if self.connection_says("upgrade") => Some(0),
            None if self.is_chunked() => None,
            length => Some(length.unwrap_or(0)),
        };
        match length {
            Some(0) => Ok(Zeroizing::default()),
            Some(length) if length > LARGEST_BODY => Err(BodyError::TooLarge),
            _ => request::read_body(self.0.as_reader(), length),
        }
    }

    /// Reads a chunked body to its end. tiny_http would take the rest for the next request.
    fn drain(&mut self) -> bool {
        let mut rest = self.0.as_reader().take(MAX_DRAINED_BODY as u64);
        io::copy(&mut rest, &mut io::sink()).is_ok() && rest.limit() > 0
    }
}

fn response(answer: Response) -> tiny_http::Response<io::Cursor<Vec<u8>>> {
    let server = (SERVER.0, SERVER.1.into());
    let content_type = ("Content-Type", answer.content_type.into());
    let headers = [server, content_type]
        .into_iter()
        .chain(answer.headers)
        .filter_map(|(name, value)| Header::from_bytes(name, value.as_bytes()).ok())
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
