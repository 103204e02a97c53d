//! What a method is: to us, and to services that are less exact about it.

use super::head::RequestHead;

/// RFC 9110 section 9 and RFC 5789.
const STANDARD: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// Fields in which clients that can't send a method name it instead. Some frameworks heed them whatever
/// the method in front is.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The same in a query.
const PARAMETER: &str = "_method";

/// True for a standard method in other letters. It is another method (RFC 9110 section 9.1), but there are
/// services that take it for the standard one.
pub(crate) fn is_misspelt(method: &str) -> bool {
    STANDARD.iter().any(|known| known.eq_ignore_ascii_case(method) && *known != method)
}

/// True for a method that asks for no change (RFC 9110 section 9.2.1).
pub(crate) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// True for a method that no service gets: TRACE would show its client fields that are not its own, and what
/// follows CONNECT is no HTTP.
pub(crate) fn ends_here(method: &str) -> bool {
    matches!(method, "TRACE" | "CONNECT")
}

/// The `Allow` of a service whose methods are not known: all that are standard and get there.
pub(crate) fn forwarded() -> String {
    let mut words: Vec<&str> = STANDARD.into_iter().filter(|word| !ends_here(word)).collect();
    words.sort_unstable();
    words.join(", ")
}

/// Whether a service may take the request for one with the standard `method`: it is its own, it is named
/// beside it, or it is GET, whose handlers run for HEAD. A form of the body that names one is not seen.
pub(crate) fn may_mean(head: &RequestHead, query: Option<&str>, method: &str) -> bool {
    let is = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(method.as_bytes());
    let named = |field: &&str| head.fields.seen_as(field).any(|v| v.split(|b| *b == b',').any(is));
    is(head.method.as_bytes())
        || (method == "GET" && head.method == "HEAD")
        || OVERRIDES.iter().any(named)
        || parameters(query.unwrap_or_default()).any(|value| is(&value))
}

/// What a query names as the method.
fn parameters(query: &str) -> impl Iterator<Item = Vec<u8>> {
    // Older parsers part them at `;` too.
    query.split(['&', ';']).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = super::lenient::decoded(name);
        name.eq_ignore_ascii_case(PARAMETER.as_bytes()).then(|| super::lenient::decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::{forwarded, is_misspelt, may_mean};
    use crate::http::fields::Fields;
    use crate::http::head::RequestHead;

    #[test]
    fn standard_methods_are_told_by_their_letters_and_others_are_left_alone() {
        for method in ["post", "Get", "pATCH", "connect"] {
            assert!(is_misspelt(method), "{method}");
        }
        for method in ["POST", "PATCH", "brew", "BREW", "M-SEARCH", "propfind"] {
            assert!(!is_misspelt(method), "{method}");
        }
        assert_eq!(forwarded(), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    }

    #[test]
    fn a_request_means_its_own_method_and_every_one_that_it_names() {
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
            let head = RequestHead { method: method.into(), target: "/".into(), minor: 1, fields };
            let judged = may_mean(&head, query, means);
            assert_eq!(judged, meant, "{method} {field} {query:?} {means}");
        }
    }
}
