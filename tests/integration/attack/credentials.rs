//! What may stand in `Authorization`, good, wrong and malformed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::attack::rules::SECRET;

/// What credentials are worth where the password is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    Missing,
    Right,
    Wrong,
    /// The head itself is refused, whoever asks.
    Ambiguous,
}

/// One way to fill the field.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) name: &'static str,
    pub(crate) worth: Worth,
    /// Lines of a head, each with its end.
    pub(crate) lines: String,
}

/// None, and the right ones.
pub(crate) fn plain_ones(right: Option<&str>) -> Vec<Credentials> {
    let mut all = vec![Credentials { name: "none", worth: Worth::Missing, lines: String::new() }];
    if let Some(right) = right {
        all.push(with("the right ones", Worth::Right, &basic("Basic ", &format!("admin:{right}"))));
    }
    all
}

/// Everything else; `right` is what would let in.
pub(crate) fn odd_ones(right: Option<&str>) -> Vec<Credentials> {
    let known = right.unwrap_or(SECRET);
    let encoded = BASE64_STANDARD.encode(format!("admin:{known}"));
    let wrong = |name, value: &str| with(name, Worth::Wrong, value);
    let pair = |name, pair: &str| wrong(name, &basic("Basic ", pair));
    let other_default = if known == "admin" { SECRET } else { "admin" };
    let mut all = vec![
        pair("another password", "admin:guess"),
        pair("the password of another state", &format!("admin:{other_default}")),
        pair("no password", "admin:"),
        pair("no user", &format!(":{known}")),
        pair("no colon", "admin"),
        pair("another user", &format!("root:{known}")),
        pair("the user in capitals", &format!("ADMIN:{known}")),
        pair("the user with a space", &format!("admin :{known}")),
        pair("the user with a NUL", &format!("admin\0:{known}")),
        pair("the password and more", &format!("admin:{known}x")),
        pair("the password and a NUL", &format!("admin:{known}\0")),
        pair("the password and a line end", &format!("admin:{known}\n")),
        pair("the password twice over a NUL", &format!("admin:{known}\0{known}")),
        pair("a password of 73 bytes", &format!("admin:{:x<73}", known)),
        pair("a password of 8 KiB", &format!("admin:{}", "x".repeat(8 << 10))),
        pair("the password in capitals", &format!("admin:{}", known.to_uppercase())),
        wrong("nothing", ""),
        wrong("a scheme alone", "Basic"),
        wrong("a scheme and a space", "Basic "),
        wrong("no base64", "Basic !!!!"),
        wrong("not encoded", &format!("Basic admin:{known}")),
        wrong("half of the base64", &format!("Basic {}", &encoded[..encoded.len() - 5])),
        wrong("base64 and more", &format!("Basic {encoded} {encoded}")),
        wrong("in a list", &format!("Basic {encoded}, Basic {encoded}")),
        wrong("as a parameter", &format!("Basic credentials=\"{encoded}\"")),
        wrong("no space", &format!("Basic{encoded}")),
        wrong("another scheme", &format!("Bearer {encoded}")),
        wrong("a scheme that is asked for nowhere", "Digest username=\"admin\", response=\"\""),
        wrong("Negotiate", "Negotiate YIIB"),
    ];
    let field = |name, line: String| Credentials { name, worth: Worth::Missing, lines: line };
    all.extend([
        field("for a proxy", format!("Proxy-Authorization: Basic {encoded}\r\n")),
        field("in a cookie", format!("Cookie: Authorization=Basic {encoded}\r\n")),
        field("in a header of a gateway", format!("X-Forwarded-User: admin\r\nX-Authorization: Basic {encoded}\r\n")),
        field("from this machine, it says", "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1;proto=https\r\nX-Forwarded-Proto: https\r\nX-Original-URL: /v2/jobs\r\n".into()),
        Credentials {
            name: "twice",
            worth: Worth::Ambiguous,
            lines: format!("Authorization: Basic {encoded}\r\nAuthorization: Basic {encoded}\r\n"),
        },
        Credentials {
            name: "a space before the colon",
            worth: Worth::Ambiguous,
            lines: format!("Authorization : Basic {encoded}\r\n"),
        },
        Credentials {
            name: "on a folded line",
            worth: Worth::Ambiguous,
            lines: format!("Authorization: Basic\r\n {encoded}\r\n"),
        },
    ]);
    if right.is_some() {
        all.push(with(
            "the scheme in small letters",
            Worth::Right,
            &basic("basic ", &format!("admin:{known}")),
        ));
    }
    all
}

fn basic(scheme: &str, pair: &str) -> String {
    format!("{scheme}{}", BASE64_STANDARD.encode(pair))
}

fn with(name: &'static str, worth: Worth, value: &str) -> Credentials {
    Credentials { name, worth, lines: format!("Authorization: {value}\r\n") }
}
