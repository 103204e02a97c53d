//! `host[:port]` as used in `Host`, in absolute URLs and in `Origin`.

/// True for a name, an IPv4 or a bracketed IPv6 address with an optional port (RFC 3986 section 3.2.2).
/// User information is not allowed: it would be false or a secret.
pub(crate) fn is_authority(text: &str) -> bool {
    let (name, port) = split_port(text);
    let name_ok = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        }
    };
    name_ok && port.is_none_or(|port| port.is_empty() || number(port).is_some())
}

/// True if both authorities are equal under `scheme`: a missing or empty port is the default port of the
/// scheme (RFC 9110 section 4.2.3).
pub(crate) fn is_same(ours: &str, theirs: &str, scheme: &str) -> bool {
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let port = |port: Option<&str>| match port {
        None | Some("") => Some(default),
        Some(port) => number(port).map(Some),
    };
    let ((our_name, our_port), (their_name, their_port)) = (split_port(ours), split_port(theirs));
    let (our_port, their_port) = (port(our_port), port(their_port));
    our_name.eq_ignore_ascii_case(their_name) && our_port.is_some() && our_port == their_port
}

/// Splits an authority into the host and what follows its colon.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let bracket = authority.rfind(']').unwrap_or(0);
    match authority.get(bracket..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (name, port) = authority.split_at(bracket + colon);
            (name, port.get(1..))
        }
        None => (authority, None),
    }
}

/// Parses digits only: str::parse would accept a sign.
fn number(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_missing_port_is_the_default_port_of_the_scheme() {
        for (ours, theirs, scheme, same) in [
            ("box", "BOX", "http", true),
            ("box", "box:80", "http", true),
            ("box:", "box:080", "http", true),
            ("box:443", "box", "https", true),
            ("[::1]:443", "[::1]", "https", true),
            ("box:443", "box", "http", false),
            ("box:80", "box", "https", false),
            ("box", "box:8080", "http", false),
            ("box", "box", "app", true),
            ("box:1", "box:1", "app", true),
            ("box:80", "box", "app", false),
            ("box", "other", "http", false),
            ("box:x", "box:x", "http", false),
            ("box:99999", "box:99999", "http", false),
        ] {
            assert_eq!(is_same(ours, theirs, scheme), same, "{ours} {theirs} {scheme}");
        }
    }
}
