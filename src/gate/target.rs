//! The request target into a path that policy, route and service all read the same way.
//!
//! What is judged is what is forwarded: nothing is decoded or normalized on the way, so whatever a
//! service might decode into another path is refused instead.

use super::head::{Malformed, RequestHead};

/// Where a request goes: `path` begins with `/`, has no dot segment, no encoded separator and only
/// characters of RFC 3986 section 3.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: String,
    /// What follows the `?`, as sent.
    pub(crate) query: Option<String>,
    /// `host` or `host:port` as the client calls us; `None` if an HTTP/1.0 client does not say.
    pub(crate) authority: Option<String>,
}

impl Target {
    /// Reads target and `Host` of a head (RFC 9112 section 3.2).
    ///
    /// # Errors
    /// 400 for a missing, repeated or malformed `Host`, a target for another host, and a path that
    /// could be read in two ways.
    pub(crate) fn of(head: &RequestHead) -> Result<Target, Malformed> {
        let authority = host(head)?;
        let path_and_query = match head.target.as_bytes() {
            [b'/', ..] => head.target.as_str(),
            _ => absolute(&head.target, authority.as_deref())?,
        };
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        check_path(path)?;
        if query.is_some_and(|q| !q.bytes().all(|b| b.is_ascii_graphic() && b != b'#')) {
            return Err(Malformed::bad("the query holds a character that must be percent-encoded"));
        }
        Ok(Target { path: path.to_owned(), query: query.map(str::to_owned), authority })
    }

    /// Path and query, as they stood in the request.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The host without its port, for a redirect to another port.
    pub(crate) fn host_name(&self) -> Option<&str> {
        self.authority.as_deref().map(|authority| split_port(authority).0)
    }
}

fn host(head: &RequestHead) -> Result<Option<String>, Malformed> {
    let mut values = head.fields.all("host");
    match (values.next(), values.next(), head.minor) {
        (None, _, 0) => Ok(None),
        (None, _, _) => Err(Malformed::bad("an HTTP/1.1 request needs a Host field")),
        (Some(_), Some(_), _) => Err(Malformed::bad("the request has two Host fields")),
        (Some(value), None, _) => match std::str::from_utf8(value) {
            Ok(value) if is_authority(value) => Ok(Some(value.to_owned())),
            _ => Err(Malformed::bad("the Host field is not HOST or HOST:PORT")),
        },
    }
}

/// The path of an absolute-form target, which is for proxies: we answer only for ourselves.
fn absolute<'a>(target: &'a str, authority: Option<&str>) -> Result<&'a str, Malformed> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = (target.get(..scheme.len())?, target.get(scheme.len()..)?);
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let Some(rest) = rest else {
        return Err(Malformed::bad("the request target is not a path"));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (theirs, path) = rest.split_at(end);
    if !authority.is_some_and(|ours| ours.eq_ignore_ascii_case(theirs)) {
        return Err(Malformed::bad("the request target names another host; this is not a proxy"));
    }
    Ok(if path.is_empty() { "/" } else { path })
}

fn check_path(path: &str) -> Result<(), Malformed> {
    if !path.starts_with('/') {
        return Err(Malformed::bad("the request target is not a path"));
    }
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Malformed::bad("the path holds a % that is no percent-encoding"));
                };
                // NUL and other controls, `.`, `/` and `\`: a service that decodes them sees
                // another path than the one that was judged.
                if matches!(high * 16 + low, 0..0x20 | 0x2e | 0x2f | 0x5c | 0x7f) {
                    return Err(Malformed::bad(
                        "the path holds an encoded separator or control character",
                    ));
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            _ if b"-._~!$&'()*+,;=:@/".contains(&byte) => {}
            _ => {
                return Err(Malformed::bad(
                    "the path holds a character that must be percent-encoded",
                ));
            }
        }
    }
    // Servlet containers drop what follows a `;` before they look at the segment.
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if path.split('/').any(is_dots) {
        return Err(Malformed::bad("the path holds a dot segment"));
    }
    Ok(())
}

/// `host[:port]` with a name, an IPv4 or a bracketed IPv6 address (RFC 3986 section 3.2.2).
fn is_authority(text: &str) -> bool {
    let (name, port) = split_port(text);
    let name_ok = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        }
    };
    name_ok
        && port.is_none_or(|port| {
            port.is_empty() || port.parse::<u16>().is_ok() && !port.starts_with('+')
        })
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let bracket = authority.rfind(']').unwrap_or(0);
    match authority.get(bracket..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (name, port) = authority.split_at(bracket + colon);
            (name, port.get(1..))
        }
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Target;
    use crate::gate::fields::Fields;
    use crate::gate::head::RequestHead;

    fn head(target: &str, hosts: &[&str]) -> RequestHead {
        let mut fields = Fields::default();
        for host in hosts {
            fields.push("Host", *host);
        }
        RequestHead { method: "GET".to_owned(), target: target.to_owned(), minor: 1, fields }
    }

    #[test]
    fn a_path_is_taken_as_it_stands() {
        let target = Target::of(&head("/v2/jobs/a%20b?limit=1&x[]=/../", &["box:8080"])).unwrap();
        assert_eq!(target.path, "/v2/jobs/a%20b");
        assert_eq!(target.path_and_query(), "/v2/jobs/a%20b?limit=1&x[]=/../");
        assert_eq!(target.host_name(), Some("box"));
    }

    #[test]
    fn ipv6_hosts_keep_their_brackets() {
        let target = Target::of(&head("/", &["[::1]:10080"])).unwrap();
        assert_eq!(target.host_name(), Some("[::1]"));
    }

    #[test]
    fn a_path_that_could_be_read_twice_is_refused() {
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
            "/\u{e9}",
            "a",
            "*",
            "",
        ] {
            assert!(Target::of(&head(path, &["box"])).is_err(), "{path}");
        }
    }

    #[test]
    fn only_our_own_host_is_answered_for() {
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
