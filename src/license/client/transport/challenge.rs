//! The authentication schemes of a proxy, from its `Proxy-Authenticate` fields (RFC 9110 sections 11.6.1
//! and 11.7.1).

use ureq::http::HeaderValue;

/// Longest name, and most names; everything beyond is ignored.
const LONGEST: usize = 20;
const MOST: usize = 5;

/// The schemes of these fields for a message, if Basic is not among them; `None` if it is, or if there are none.
pub(crate) fn without_basic<'v>(
    fields: impl IntoIterator<Item = &'v HeaderValue>,
) -> Option<String> {
    let found = schemes(fields);
    let basic = found.iter().any(|name| name.eq_ignore_ascii_case("Basic"));
    (!basic && !found.is_empty()).then(|| found.join(" or "))
}

/// The schemes in these fields, each once. A scheme and a parameter both follow the beginning of a field or
/// a comma; only a parameter has a `=` after its name.
fn schemes<'v>(fields: impl IntoIterator<Item = &'v HeaderValue>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for field in fields.into_iter().filter_map(|field| field.to_str().ok()) {
        for part in elements(field) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let (name, rest) = part.split_at(end.unwrap_or(part.len()));
            let is_parameter = rest.trim_start().starts_with('=');
            let is_name = rest.is_empty() || rest.starts_with([' ', '\t']);
            let is_new = !found.iter().any(|known| known.eq_ignore_ascii_case(name));
            let fits = (1..=LONGEST).contains(&name.len()) && found.len() < MOST;
            if is_name && !is_parameter && is_new && fits {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// Splits a list at its commas, except inside quotes.
fn elements(field: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let comma = move |c: char| {
        if escaped {
            escaped = false;
        } else {
            match c {
                '\\' => escaped = quoted,
                '"' => quoted = !quoted,
                _ => {}
            }
        }
        c == ',' && !quoted
    };
    field.split(comma).map(str::trim)
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::without_basic as told;

    #[test]
    fn schemes_are_told_from_their_parameters() {
        for (fields, without_basic) in [
            (&["NTLM"][..], Some("NTLM")),
            (&["Negotiate", "NTLM"], Some("Negotiate or NTLM")),
            (&["Negotiate, NTLM , negotiate"], Some("Negotiate or NTLM")),
            (&[r#"Digest realm="a, Basic b", nonce = "x\", Basic ", qop="auth""#], Some("Digest")),
            (&["NTLM TlRMTVNTUAAC=="], Some("NTLM")),
            (&["NTLM", "basic realm=\"x\""], None),
            (&[r#"Digest realm="x", Basic realm="y""#], None),
            (&["Basic"], None),
            (&[], None),
            (&["", ",,", "=", "\"", "<script>", "x\u{1}y"], None),
        ] {
            let values = fields.iter().filter_map(|field| HeaderValue::from_str(field).ok());
            let values: Vec<HeaderValue> = values.collect();
            assert_eq!(told(&values).as_deref(), without_basic, "{fields:?}");
        }
    }
}
