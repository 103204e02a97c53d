//! Self-contained HTML pages: one file each, with its style and script inside.
//!
//! The Content-Security-Policy names the digests of exactly that style and script, so a browser runs nothing
//! else, and loads nothing from anywhere but this appliance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::management::api::response::Response;

/// 200 with `text`, whose `<style>` and `<script>` elements have no attributes.
pub(crate) fn page(text: impl Into<String>) -> Response {
    let text = text.into();
    Response {
        status: 200,
        content_type: "text/html; charset=utf-8",
        headers: vec![
            ("Cache-Control", "no-cache".into()),
            ("Content-Security-Policy", policy(&text).into()),
            ("Referrer-Policy", "no-referrer".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("X-Frame-Options", "DENY".into()),
        ],
        body: text.into(),
    }
}

/// Content Security Policy Level 3.
fn policy(text: &str) -> String {
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digests(text, "style"),
        digests(text, "script"),
    )
}

/// One source expression for each `element`, `'none'` without any.
fn digests(text: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let sources: Vec<String> = text
        .split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(inner, _)| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inner))))
        .collect();
    if sources.is_empty() { "'none'".to_owned() } else { sources.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::{digests, policy};

    #[test]
    fn each_element_is_named_by_its_digest() {
        // printf 'a()' | openssl dgst -sha256 -binary | base64
        let text = "<p><script>a()</script><script>a()</script>";
        let digest = "'sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4='";
        assert_eq!(digests(text, "script"), format!("{digest} {digest}"));
        assert_eq!(digests(text, "style"), "'none'");
        assert!(!policy(text).contains("unsafe"));
    }
}
