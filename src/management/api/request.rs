//! A request as handlers see it, independent of its transport.

use std::io::Read;
use std::net::IpAddr;

use zeroize::Zeroizing;

use super::query::decode;
use crate::management::LARGEST_BODY;
use crate::security::Actor;

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    /// Answered as GET; the server leaves the body out.
    Head,
    Post,
    Put,
    Delete,
    Other,
}

impl Method {
    pub(crate) fn parse(word: &str) -> Method {
        match word {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Other => "",
        }
    }
}

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// As sent, without the query.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    /// The client's address; `None` if it is on this machine.
    pub(crate) peer: Option<IpAddr>,
    /// The host that a client on the network has called, with the port if it named one.
    pub(crate) authority: Option<String>,
    pub(crate) body: Body<'a>,
}

/// The body of a request.
pub(crate) enum Body<'a> {
    /// In memory.
    Whole(Zeroizing<Vec<u8>>),
    /// Not read yet, with `Content-Length`, if present.
    Unread(&'a mut dyn Read, Option<usize>),
}

/// Why a body can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Larger than [`LARGEST_BODY`]; not read to its end.
    TooLarge,
    /// The client stopped before the end of the body, or its chunks are malformed.
    CutOff,
}

impl Request<'_> {
    /// The whole body, in memory that is wiped when it is dropped.
    ///
    /// A declared length over the limit is rejected before a byte is read.
    pub(crate) fn read_body(&mut self) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        let (reader, length) = match &mut self.body {
            Body::Whole(body) if body.len() > LARGEST_BODY => return Err(BodyError::TooLarge),
            Body::Whole(body) => return Ok(std::mem::take(body)),
            Body::Unread(reader, length) => (reader, *length),
        };
        if length.is_some_and(|length| length > LARGEST_BODY) {
            return Err(BodyError::TooLarge);
        }
        // The full capacity at once: a vector that grows leaves unwiped copies behind.
        let room = length.unwrap_or(LARGEST_BODY) + 1;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        let read = Read::take(reader, room as u64).read_to_end(&mut body);
        match (read, length) {
            (Err(_), _) => Err(BodyError::CutOff),
            (Ok(read), _) if read > LARGEST_BODY => Err(BodyError::TooLarge),
            (Ok(read), Some(length)) if read < length => Err(BodyError::CutOff),
            (Ok(_), _) => Ok(body),
        }
    }

    /// The last segment of the path, decoded.
    pub(crate) fn name(&self) -> String {
        decode(self.path.rsplit('/').next().unwrap_or_default())
    }

    /// The client, for the security log.
    pub(crate) fn actor(&self) -> Actor {
        self.peer.map_or(Actor::Local, Actor::Remote)
    }

    /// The name or address by which the client called the appliance, without the port.
    pub(crate) fn host(&self) -> Option<&str> {
        let authority = self.authority.as_deref()?;
        let bracket = authority.rfind(']').unwrap_or(0);
        let port = authority.get(bracket..)?.find(':').map(|colon| bracket + colon);
        port.map_or(Some(authority), |port| authority.get(..port))
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::{Body, Method, Request};

    /// A request from this machine with a body in memory.
    pub(crate) fn request<'a>(method: &str, target: &str, body: &'a mut &[u8]) -> Request<'a> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = body.len();
        Request {
            method: Method::parse(method),
            path: path.to_owned(),
            query: query.to_owned(),
            content_type: None,
            peer: None,
            authority: None,
            body: Body::Unread(body, Some(length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{Body, BodyError, LARGEST_BODY, fake};

    #[test]
    fn a_body_of_exactly_the_ceiling_is_read_and_one_more_is_not() {
        for (length, wanted) in
            [(LARGEST_BODY, Ok(LARGEST_BODY)), (LARGEST_BODY + 1, Err(BodyError::TooLarge))]
        {
            let bytes = vec![b'x'; length];
            let mut readers = [bytes.as_slice(), bytes.as_slice()];
            let [known, unknown] = &mut readers;
            let mut nothing: &[u8] = b"";
            let mut request = fake::request("POST", "/", &mut nothing);
            for body in [
                Body::Unread(known, Some(length)),
                Body::Unread(unknown, None),
                Body::Whole(Zeroizing::new(bytes.clone())),
            ] {
                request.body = body;
                assert_eq!(request.read_body().map(|body| body.len()), wanted);
            }
        }
    }

    #[test]
    fn a_declared_length_over_the_ceiling_is_refused_before_a_byte_is_read() {
        let mut nothing: &[u8] = b"";
        let mut body: &[u8] = b"untouched";
        let mut request = fake::request("POST", "/", &mut nothing);
        request.body = Body::Unread(&mut body, Some(usize::MAX));
        assert_eq!(request.read_body().map(|_| ()), Err(BodyError::TooLarge));
        drop(request);
        assert_eq!(body, b"untouched");
    }

    #[test]
    fn a_body_that_ends_early_is_noticed() {
        let mut nothing: &[u8] = b"";
        let mut body: &[u8] = b"half";
        let mut request = fake::request("POST", "/", &mut nothing);
        request.body = Body::Unread(&mut body, Some(8));
        assert_eq!(request.read_body().map(|_| ()), Err(BodyError::CutOff));
    }
}
