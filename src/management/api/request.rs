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
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent, without the query.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    /// The client's address; `None` if it is on this machine.
    pub(crate) peer: Option<IpAddr>,
    /// The address of this machine to which a client on the network has sent the change, if it is one.
    pub(crate) local: Option<IpAddr>,
    /// The host that a client on the network has called, with the port if it named one.
    pub(crate) authority: Option<String>,
    /// The whole body, in memory that is wiped when it is dropped.
    pub(crate) body: Result<Zeroizing<Vec<u8>>, BodyError>,
}

/// Why a body can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Larger than [`LARGEST_BODY`]; not read to its end.
    TooLarge,
    /// The client stopped before the end of the body, or its chunks are malformed.
    CutOff,
}

/// Reads a body whose `Content-Length`, if present, is `length`, at most [`LARGEST_BODY`].
pub(crate) fn read_body(
    reader: impl Read,
    length: Option<usize>,
) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    // The full capacity at once: a vector that grows leaves unwiped copies behind.
    let room = length.unwrap_or(LARGEST_BODY) + 1;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    match (reader.take(room as u64).read_to_end(&mut body), length) {
        (Err(_), _) => Err(BodyError::CutOff),
        (Ok(read), _) if read > LARGEST_BODY => Err(BodyError::TooLarge),
        (Ok(read), Some(length)) if read < length => Err(BodyError::CutOff),
        (Ok(_), _) => Ok(body),
    }
}

impl Request {
    /// Takes the body out; it is empty then.
    pub(crate) fn take_body(&mut self) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        std::mem::replace(&mut self.body, Ok(Zeroizing::default()))
    }

    /// Whether `Accept` names `kind` (RFC 9110 section 12.5.1); the wildcards don't.
    pub(crate) fn accepts(&self, kind: &str) -> bool {
        let named = self.accept.as_deref().unwrap_or_default().split(',');
        named.map(|one| one.split(';').next().unwrap_or_default().trim()).any(|one| one == kind)
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
    use zeroize::Zeroizing;

    use super::{Method, Request};

    /// A request from this machine.
    pub(crate) fn request(method: &str, target: &str, body: &[u8]) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: Method::parse(method),
            path: path.to_owned(),
            query: query.to_owned(),
            content_type: None,
            accept: None,
            peer: None,
            local: None,
            authority: None,
            body: Ok(Zeroizing::new(body.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyError, LARGEST_BODY, read_body};

    fn length(body: &[u8], declared: Option<usize>) -> Result<usize, BodyError> {
        read_body(body, declared).map(|body| body.len())
    }

    #[test]
    fn a_body_of_exactly_the_ceiling_is_read_and_one_more_is_not() {
        let mut body = vec![b'x'; LARGEST_BODY];
        assert_eq!(length(&body, Some(LARGEST_BODY)), Ok(LARGEST_BODY));
        assert_eq!(length(&body, None), Ok(LARGEST_BODY));
        body.push(b'x');
        assert_eq!(length(&body, None), Err(BodyError::TooLarge));
    }

    #[test]
    fn a_body_that_ends_early_is_noticed() {
        assert_eq!(length(b"half", Some(8)), Err(BodyError::CutOff));
    }
}
