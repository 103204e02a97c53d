//! A request as handlers see it, independent of its transport.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

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
    pub(crate) forwarded_for: Option<String>,
    pub(crate) forwarded_proto: Option<String>,
    pub(crate) forwarded_host: Option<String>,
    /// `Content-Length`, if present.
    pub(crate) length: Option<usize>,
    pub(crate) body: &'a mut dyn Read,
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
    /// Reads the whole body into memory that is wiped when it is dropped.
    ///
    /// A declared length over the limit is rejected before a byte is read.
    pub(crate) fn read_body(&mut self) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        if self.length.is_some_and(|length| length > LARGEST_BODY) {
            return Err(BodyError::TooLarge);
        }
        // The full capacity at once: a vector that grows leaves unwiped copies behind.
        let room = self.length.unwrap_or(LARGEST_BODY) + 1;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        let read = Read::take(&mut *self.body, room as u64).read_to_end(&mut body);
        match (read, self.length) {
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
        match &self.forwarded_for {
            None => Actor::Local,
            // A request with an unreadable address still came from the network.
            Some(address) => {
                let address: Result<IpAddr, _> = address.trim().parse();
                Actor::Remote(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical())
            }
        }
    }

    /// The name or address by which the client called the appliance, without the port.
    pub(crate) fn host(&self) -> Option<&str> {
        let authority = self.forwarded_host.as_deref()?;
        let bracket = authority.rfind(']').unwrap_or(0);
        let port = authority.get(bracket..)?.find(':').map(|colon| bracket + colon);
        port.map_or(Some(authority), |port| authority.get(..port))
    }

    /// Whether the client used plain HTTP over the network.
    pub(crate) fn is_plain_http(&self) -> bool {
        self.forwarded_proto.as_deref().is_some_and(|proto| proto.eq_ignore_ascii_case("http"))
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::{Method, Request};

    /// A request from this machine with a body in memory.
    pub(crate) fn request<'a>(method: &str, target: &str, body: &'a mut &[u8]) -> Request<'a> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: Method::parse(method),
            path: path.to_owned(),
            query: query.to_owned(),
            content_type: None,
            forwarded_for: None,
            forwarded_proto: None,
            forwarded_host: None,
            length: Some(body.len()),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyError, LARGEST_BODY, fake};
    use crate::security::Actor;

    #[test]
    fn a_body_of_exactly_the_ceiling_is_read_and_one_more_is_not() {
        for (length, known, wanted) in [
            (LARGEST_BODY, true, Ok(LARGEST_BODY)),
            (LARGEST_BODY, false, Ok(LARGEST_BODY)),
            (LARGEST_BODY + 1, true, Err(BodyError::TooLarge)),
            (LARGEST_BODY + 1, false, Err(BodyError::TooLarge)),
        ] {
            let bytes = vec![b'x'; length];
            let mut body = bytes.as_slice();
            let mut request = fake::request("POST", "/", &mut body);
            request.length = known.then_some(length);
            assert_eq!(request.read_body().map(|body| body.len()), wanted);
        }
    }

    #[test]
    fn a_declared_length_over_the_ceiling_is_refused_before_a_byte_is_read() {
        let mut body: &[u8] = b"untouched";
        let mut request = fake::request("POST", "/", &mut body);
        request.length = Some(usize::MAX);
        assert_eq!(request.read_body().map(|_| ()), Err(BodyError::TooLarge));
        assert_eq!(body, b"untouched");
    }

    #[test]
    fn a_body_that_ends_early_is_noticed() {
        let mut body: &[u8] = b"half";
        let mut request = fake::request("POST", "/", &mut body);
        request.length = Some(8);
        assert_eq!(request.read_body().map(|_| ()), Err(BodyError::CutOff));
    }

    #[test]
    fn who_asks_is_the_gates_word_or_this_machine() {
        let mut body: &[u8] = b"";
        let mut request = fake::request("POST", "/", &mut body);
        assert!(matches!(request.actor(), Actor::Local));
        for (header, address) in
            [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("nonsense", "0.0.0.0")]
        {
            request.forwarded_for = Some(header.to_owned());
            assert!(matches!(request.actor(), Actor::Remote(ip) if ip.to_string() == address));
        }
    }
}
