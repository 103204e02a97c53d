//! What may stand where a job token is looked for, and beside it: good, wrong, malformed, elsewhere.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::attack::credentials::Worth;
use crate::attack::rules::SECRET;

/// The token of these tests, with every kind of character that one may have.
pub(crate) const TOKEN: &str = "aJob-Token.that~is_known/to+few=";

/// One way to present a token, or something like one.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    pub(crate) name: &'static str,
    /// Where the token is asked for.
    pub(crate) worth: Worth,
    /// The same for a WebSocket of live transcription, whose query counts too.
    pub(crate) live: Worth,
    /// Lines of a head, each with its end.
    pub(crate) lines: String,
    /// A query, without its question mark.
    pub(crate) query: String,
}

/// None, the right one, a wrong one.
pub(crate) fn plain_ones() -> Vec<Presented> {
    vec![
        Presented {
            name: "nothing",
            worth: Worth::Missing,
            live: Worth::Missing,
            lines: String::new(),
            query: String::new(),
        },
        field("the right one", Worth::Right, &format!("Bearer {TOKEN}")),
        field("a guess", Worth::Wrong, "Bearer guess"),
    ]
}

/// Everything else.
pub(crate) fn odd_ones() -> Vec<Presented> {
    let cut = &TOKEN[..TOKEN.len() - 1];
    let encoded = TOKEN.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let wrong = |name, value: String| field(name, Worth::Wrong, &value);
    let missing = |name, value: String| field(name, Worth::Missing, &value);
    let elsewhere = |name, lines: String| Presented { lines, ..missing(name, String::new()) };
    vec![
        field("the scheme in small letters", Worth::Right, &format!("bearer {TOKEN}")),
        field("two spaces", Worth::Right, &format!("BEARER  {TOKEN}")),
        wrong("without its end", format!("Bearer {cut}")),
        wrong("with more", format!("Bearer {TOKEN}x")),
        wrong("in capitals", format!("Bearer {}", TOKEN.to_uppercase())),
        wrong("quoted", format!("Bearer \"{TOKEN}\"")),
        wrong("percent-encoded", format!("Bearer {encoded}")),
        wrong("in base64", format!("Bearer {}", base64(TOKEN))),
        wrong("twice", format!("Bearer {TOKEN} {TOKEN}")),
        wrong("in a list", format!("Bearer {TOKEN}, Bearer {TOKEN}")),
        wrong("as a parameter", format!("Bearer token=\"{TOKEN}\"")),
        wrong("what a client without one says", "Bearer None".to_owned()),
        wrong("the admin password", format!("Bearer {SECRET}")),
        wrong("as long as a field may be", format!("Bearer {}", "x".repeat(8_000))),
        missing("the scheme alone", "Bearer".to_owned()),
        missing("no scheme", TOKEN.to_owned()),
        missing("no space", format!("Bearer{TOKEN}")),
        missing("another scheme", format!("Token {TOKEN}")),
        missing("Basic", format!("Basic {TOKEN}")),
        missing("Basic, as the password", format!("Basic {}", base64(&format!("nobody:{TOKEN}")))),
        missing("Basic, as the user", format!("Basic {}", base64(&format!("{TOKEN}:")))),
        missing("nothing in the field", String::new()),
        elsewhere("for a proxy", format!("Proxy-Authorization: Bearer {TOKEN}\r\n")),
        elsewhere("in a field of a gateway", format!("X-Authorization: Bearer {TOKEN}\r\nX-Forwarded-Authorization: Bearer {TOKEN}\r\n")),
        elsewhere("in a cookie", format!("Cookie: jwt={TOKEN}; Authorization=Bearer {TOKEN}\r\n")),
        elsewhere("as a protocol", format!("Sec-WebSocket-Protocol: jwt, {TOKEN}\r\n")),
        elsewhere("from this machine, it says", "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Original-URL: /free/x\r\n".to_owned()),
        ambiguous("two fields", format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n")),
        ambiguous("two fields that differ", format!("Authorization: Bearer guess\r\nauthorization: Bearer {TOKEN}\r\n")),
        ambiguous("a space before the colon", format!("Authorization : Bearer {TOKEN}\r\n")),
        ambiguous("on a folded line", format!("Authorization: Bearer\r\n {TOKEN}\r\n")),
        query("as browsers send it", Worth::Right, &format!("jwt={encoded}")),
        query("unencoded", Worth::Right, &format!("a=b&jwt={TOKEN}&sm-sdk=x")),
        query("an encoded name", Worth::Right, &format!("%6Awt={TOKEN}")),
        query("a guess in the query", Worth::Wrong, "jwt=guessed"),
        query("nothing in the query", Worth::Wrong, "jwt="),
        query("twice in the query", Worth::Missing, &format!("jwt={TOKEN}&jwt={TOKEN}")),
        query("a guess before it", Worth::Missing, &format!("jwt=guess&jwt={TOKEN}")),
        query("no value", Worth::Missing, "jwt"),
        query("another name", Worth::Missing, &format!("access_token={TOKEN}&token={TOKEN}&auth_token={TOKEN}&ajwt={TOKEN}")),
        query("behind a semicolon", Worth::Missing, &format!("a=b;jwt={TOKEN}")),
        Presented {
            worth: Worth::Wrong,
            lines: "Authorization: Bearer guess2\r\n".to_owned(),
            ..query("a guess in the field", Worth::Wrong, &format!("jwt={TOKEN}"))
        },
        Presented {
            worth: Worth::Right,
            lines: format!("Authorization: Bearer {TOKEN}\r\n"),
            ..query("a guess in the query, the right one in the field", Worth::Right, "jwt=guess3")
        },
        Presented {
            lines: format!("Authorization: Basic {}\r\n", base64("nobody:nothing")),
            ..query("beside what a browser remembers", Worth::Right, &format!("jwt={TOKEN}"))
        },
    ]
}

fn field(name: &'static str, worth: Worth, value: &str) -> Presented {
    let lines = format!("Authorization: {value}\r\n");
    Presented { name, worth, live: worth, lines, query: String::new() }
}

fn ambiguous(name: &'static str, lines: String) -> Presented {
    let worth = Worth::Ambiguous;
    Presented { name, worth, live: worth, lines, query: String::new() }
}

/// In the query, where it counts for WebSockets of live transcription alone.
fn query(name: &'static str, live: Worth, query: &str) -> Presented {
    let (worth, query) = (Worth::Missing, query.to_owned());
    Presented { name, worth, live, lines: String::new(), query }
}
