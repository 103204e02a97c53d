//! Request methods, as the RFCs define them and as less exact services read them.

use std::borrow::Cow;

use super::fields::Fields;
use super::lenient;

/// The methods of RFC 9110 section 9 and RFC 5789.
const STANDARD: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// Fields in which clients that cannot send a method name it instead. Some frameworks obey them whatever
/// the method of the request line is.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The query parameter with which some frameworks override the method.
const PARAMETER: &str = "_method";

/// The method to be kept; a standard one needs no memory.
pub(crate) fn kept(method: &str) -> Cow<'static, str> {
    let standard = STANDARD.into_iter().find(|known| *known == method);
    standard.map_or_else(|| Cow::Owned(method.to_owned()), Cow::Borrowed)
}

/// True for a standard method in the wrong case. It is a different method (RFC 9110 section 9.1), but some
/// services take it for the standard one.
pub(crate) fn has_wrong_case(method: &str) -> bool {
    STANDARD.iter().any(|known| known.eq_ignore_ascii_case(method) && *known != method)
}

/// True for a method that changes nothing (RFC 9110 section 9.2.1).
pub(crate) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// True for a method that is never forwarded: TRACE would show the client fields that the gate added, and
/// what follows CONNECT is not HTTP.
pub(crate) fn is_never_forwarded(method: &str) -> bool {
    matches!(method, "TRACE" | "CONNECT")
}

/// The `Allow` value for a service whose methods are unknown: all standard methods that are forwarded.
pub(crate) fn allow() -> String {
    let mut words: Vec<&str> =
        STANDARD.into_iter().filter(|word| !is_never_forwarded(word)).collect();
    words.sort_unstable();
    words.join(", ")
}

/// True if a service may treat a request of method `sent` as one of the standard `method`: they are equal, a
/// field or the query overrides it, or it is HEAD, which runs the handlers of GET. An override in a form in the
/// body is not seen.
pub(crate) fn may_mean(sent: &str, fields: &Fields, query: Option<&str>, method: &str) -> bool {
    let is = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(method.as_bytes());
    let named = |field: &&str| fields.seen_as(field).any(|v| v.split(|b| *b == b',').any(is));
    is(sent.as_bytes())
        || (method == "GET" && sent == "HEAD")
        || OVERRIDES.iter().any(named)
        || parameters(query.unwrap_or_default()).any(|value| is(&value))
}

/// The methods that a query names.
fn parameters(query: &str) -> impl Iterator<Item = Vec<u8>> {
    // Older parsers split at `;` too.
    query.split(['&', ';']).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = lenient::decoded(name);
        name.eq_ignore_ascii_case(PARAMETER.as_bytes()).then(|| lenient::decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::{allow, has_wrong_case, may_mean};
    use crate::http::fields::Fields;

    #[test]
    fn only_standard_methods_have_a_wrong_case() {
        for method in ["post", "Get", "pATCH", "connect"] {
            assert!(has_wrong_case(method), "{method}");
        }
        for method in ["POST", "PATCH", "brew", "BREW", "M-SEARCH", "propfind"] {
            assert!(!has_wrong_case(method), "{method}");
        }
        assert_eq!(allow(), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    }

    #[test]
    fn a_request_may_mean_its_method_and_each_method_that_it_names() {
        for (method, field, query, means, meant) in [
            ("POST", "", None, "POST", true),
            ("GET", "", None, "POST", false),
            ("HEAD", "", None, "GET", true),
            ("GET", "", None, "HEAD", false),
            ("GET", "X-HTTP-Method-Override", None, "POST", true),
            ("GET", "x_http_method-override", None, "POST", true),
            ("GET", "X-HTTP-Methods", None, "POST", false),
            ("GET", "", Some("_method=POST"), "POST", true),
            ("GET", "", Some("x&%5fMETHOD=p%6Fst&y"), "POST", true),
            ("GET", "", Some("a=_method;_method=post"), "POST", true),
            ("GET", "", Some("method=POST"), "POST", false),
            ("GET", "", Some("_method"), "POST", false),
        ] {
            let mut fields = Fields::default();
            if !field.is_empty() {
                fields.push(field, "PUT, post");
            }
            let result = may_mean(method, &fields, query, means);
            assert_eq!(result, meant, "{method} {field} {query:?} {means}");
        }
    }
}
