//! The request target as a path that policy, router and service read in the same way.
//!
//! The gate judges exactly what it forwards: nothing is decoded or normalized, and a path that a service might
//! decode into another path is rejected. Only characters that browsers fail to percent-encode are encoded here,
//! before any rule is applied.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::authority::{is_authority, is_same, split_port};
use super::head::RequestHead;
use super::{Error, lenient, limits};

/// A valid request target. `path` begins with `/` and has no dot segment and no encoded separator; `path` and
/// `query` have only characters of RFC 3986 sections 3.3 and 3.4, except for a `%` in the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: String,
    /// The part after the `?`.
    pub(crate) query: Option<String>,
    /// `host` or `host:port` as the client names us; `None` if an HTTP/1.0 client does not.
    pub(crate) authority: Option<String>,
}

impl Target {
    /// Parses the target and `Host` of a head (RFC 9112 section 3.2).
    ///
    /// # Errors
    /// 400 for a missing, repeated or malformed `Host`, a target for another host, and an ambiguous path; 414 for
    /// a line that is too long once it is encoded.
    pub(crate) fn of(head: &RequestHead) -> Result<Target, Error> {
        let mut authority = host(head)?;
        let path_and_query = match head.target.as_bytes() {
            [b'/', ..] => head.target.as_str(),
            _ => {
                let (theirs, rest) = absolute(&head.target, authority.as_deref())?;
                authority.get_or_insert_with(|| theirs.to_owned());
                rest
            }
        };
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        check_path(path)?;
        if query.is_some_and(|q| !q.bytes().all(|b| b > b' ' && b != b'#' && b != 0x7f)) {
            return Err(Error::bad_request(
                "the query contains a character that must be percent-encoded",
            ));
        }
        let (path, query) = (encoded(path), query.map(encoded));
        let length = path.len() + query.as_ref().map_or(0, |query| query.len() + 1);
        if head.method.len() + " ".len() + length + " HTTP/1.1".len() > limits::LINE_BYTES {
            return Err(TOO_LONG);
        }
        Ok(Target { path: path.into_owned(), query: query.map(Cow::into_owned), authority })
    }

    /// Path and query as one string.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The host without the port, for a redirect to another port.
    pub(crate) fn host_name(&self) -> Option<&str> {
        self.authority.as_deref().map(|authority| split_port(authority).0)
    }
}

fn host(head: &RequestHead) -> Result<Option<String>, Error> {
    let mut values = head.fields.all("host");
    match (values.next(), values.next(), head.minor) {
        (None, _, 0) => Ok(None),
        (None, _, _) => Err(Error::bad_request("an HTTP/1.1 request needs a Host field")),
        (Some(_), Some(_), _) => Err(Error::bad_request("the request has two Host fields")),
        (Some(value), None, _) => match std::str::from_utf8(value) {
            Ok(value) if is_authority(value) => Ok(Some(value.to_owned())),
            _ => Err(Error::bad_request("the Host field is not HOST or HOST:PORT")),
        },
    }
}

/// Authority and rest of an absolute-form target, which clients send to proxies: the authority must be ours.
/// With HTTP/1.0 and no `Host` it names us.
fn absolute<'a>(target: &'a str, host: Option<&str>) -> Result<(&'a str, &'a str), Error> {
    let known = ["http", "https"].iter().find_map(|scheme| {
        let (start, rest) = target.split_once("://")?;
        start.eq_ignore_ascii_case(scheme).then_some((*scheme, rest))
    });
    let Some((scheme, rest)) = known else {
        return Err(Error::bad_request("the request target is not a path"));
    };
    let (theirs, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !is_authority(theirs) || host.is_some_and(|ours| !is_same(ours, theirs, scheme)) {
        return Err(Error::bad_request(
            "the request target names another host; this is not a proxy",
        ));
    }
    Ok((theirs, rest))
}

const TOO_LONG: Error = Error {
    status: 414,
    reason: "the request line is longer than 8192 bytes once it is percent-encoded",
};

/// Percent-encodes the characters that a URI must not contain (RFC 3986) and that browsers (URL Standard, "path
/// percent-encode set" and "special-query percent-encode set") or curl do not encode.
pub(crate) fn encoded(text: &str) -> Cow<'_, str> {
    let is_bare = |byte: u8| {
        matches!(byte, b'"' | b'<' | b'>' | b'['..=b'^' | b'`' | b'{'..=b'}') || !byte.is_ascii()
    };
    if !text.bytes().any(is_bare) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if is_bare(byte) {
            let _ = write!(encoded, "%{byte:02X}"); // a String accepts all bytes
        } else {
            encoded.push(char::from(byte));
        }
    }
    Cow::Owned(encoded)
}

fn check_path(path: &str) -> Result<(), Error> {
    if !path.starts_with('/') {
        return Err(Error::bad_request("the request target is not a path"));
    }
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Error::bad_request(
                        "the path contains a % that is not a percent-encoding",
                    ));
                };
                // NUL and other controls, `.`, `/` and `\`: a service that decodes them sees a
                // different path from the one that was judged.
                if matches!(high * 16 + low, 0..0x20 | 0x2e | 0x2f | 0x5c | 0x7f) {
                    return Err(Error::bad_request(
                        "the path contains an encoded separator or control character",
                    ));
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => {}
            _ if b"-._~!$&'()*+,;=:@/".contains(&byte) => {}
            // Browsers do not encode these, see `encoded`. Characters that they encode, and the backslash, which
            // they convert to a slash, stay rejected.
            _ if b"[]^{|}".contains(&byte) => {}
            _ => {
                return Err(Error::bad_request(
                    "the path contains a character that must be percent-encoded",
                ));
            }
        }
    }
    if lenient::has_dot_segment(path) {
        return Err(Error::bad_request("the path contains a dot segment"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Target;
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;

    fn head(target: &str, hosts: &[&str]) -> RequestHead {
        let mut fields = Fields::default();
        for host in hosts {
            fields.push("Host", *host);
        }
        RequestHead { method: "GET".into(), target: target.to_owned(), minor: 1, fields }
    }

    #[test]
    fn a_path_is_not_normalized() {
        let target = Target::of(&head("/v2/jobs/a%20b?limit=1&x[]=/../", &["box:8080"])).unwrap();
        assert_eq!(target.path, "/v2/jobs/a%20b");
        assert_eq!(target.path_and_query(), "/v2/jobs/a%20b?limit=1&x%5B%5D=/../");
        assert_eq!(target.host_name(), Some("box"));
    }

    #[test]
    fn ipv6_hosts_keep_their_brackets() {
        let target = Target::of(&head("/", &["[::1]:10080"])).unwrap();
        assert_eq!(target.host_name(), Some("[::1]"));
    }

    #[test]
    fn an_ambiguous_path_is_rejected() {
        for path in [
            "/v2/jobs/../management",
            "/v2/jobs/.",
            "/v2/jobs/%2e%2e/management",
            "/v2/jobs%2fx",
            "/a%00",
            "/a%5cb",
            "/a\\b",
            "/a%zz",
            "/a%2",
            "/a\"b",
            "/a#b",
            "/a?b#c",
            "/a`b",
            "/a%252e%252e/%252e%252e",
            "/..%3bx/a",
            "a",
            "*",
            "",
        ] {
            assert!(Target::of(&head(path, &["box"])).is_err(), "{path}");
        }
    }

    #[test]
    fn an_absolute_target_must_name_our_own_host() {
        assert_eq!(Target::of(&head("http://box/x", &["box"])).unwrap().path, "/x");
        assert_eq!(Target::of(&head("HTTPS://BOX", &["box"])).unwrap().path, "/");
        assert!(Target::of(&head("http://other/x", &["box"])).is_err());
        assert!(Target::of(&head("ftp://box/x", &["box"])).is_err());
    }

    #[test]
    fn there_is_exactly_one_well_formed_host() {
        for hosts in [
            &[][..],
            &["a", "a"],
            &[""],
            &["a b"],
            &["a:b"],
            &["a:99999"],
            &["a,b"],
            &["[::1"],
            &["a/b"],
            &["u@a"],
        ] {
            assert!(Target::of(&head("/", hosts)).is_err(), "{hosts:?}");
        }
    }
}
