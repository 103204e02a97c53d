//! Header fields as they came: order and spelling kept, names compared without regard to case.

use std::fmt;

/// All field lines of one head, in one piece of memory. A value has no surrounding white space and no
/// control character but tab.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    /// `Name: value` and a line break, one after the other; removed lines stay.
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// Where a line begins in the text, where its name ends, and where its value does.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    name_end: usize,
    end: usize,
}

const COLON: &[u8] = b": ";
const BREAK: &[u8] = b"\r\n";

/// Fields that belong to one connection and never cross a proxy (RFC 9110 section 7.6.1), beside those
/// that `Connection` names. `Trailer` may cross, `Transfer-Encoding` is set anew by the side that sends.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields meant for all recipients: `Connection` must not name them (RFC 9110 section 7.6.1), and a
/// message whose framing went with it would be read differently behind us.
const END_TO_END: [&str; 4] = ["content-length", "host", "authorization", "expect"];

impl Fields {
    /// Takes what httparse found; its values have no surrounding white space.
    pub(crate) fn from_parsed(parsed: &[httparse::Header<'_>]) -> Fields {
        let bytes = parsed.iter().map(|header| header.name.len() + header.value.len() + 4).sum();
        let mut fields =
            Fields { text: Vec::with_capacity(bytes), lines: Vec::with_capacity(parsed.len()) };
        for header in parsed {
            fields.push(header.name, header.value.trim_ascii());
        }
        fields
    }

    /// Bytes that [`Fields::write_to`] takes at most.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + BREAK.len()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    fn name(&self, line: &Line) -> &[u8] {
        self.text.get(line.start..line.name_end).unwrap_or_default()
    }

    fn value(&self, line: &Line) -> &[u8] {
        self.text.get(line.name_end + COLON.len()..line.end).unwrap_or_default()
    }

    /// Every value of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter(move |line| self.name(line).eq_ignore_ascii_case(name.as_bytes()))
            .map(|line| self.value(line))
    }

    /// The values of each line that CGI and its heirs take for `name`, which is in small letters.
    pub(crate) fn seen_as<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter(move |line| seen_by_cgi(self.name(line), name.as_bytes()))
            .map(|line| self.value(line))
    }

    /// The first value of `name`.
    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The members of a comma-separated list field, over all its lines, trimmed, empty ones left out.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// True if the list field `name` has the member `token`, in any case.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.retain(|field| !field.eq_ignore_ascii_case(name.as_bytes()));
    }

    /// `name` and `value` are fit to be sent: no line break in them.
    pub(crate) fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let start = self.text.len();
        let name_end = start + name.len();
        for part in [name.as_bytes(), COLON, value.as_ref(), BREAK] {
            self.text.extend_from_slice(part);
        }
        self.lines.push(Line { start, name_end, end: self.text.len() - BREAK.len() });
    }

    /// Takes off what only the first proxy may say.
    pub(crate) fn remove_claims(&mut self) {
        self.retain(|field| !is_claim(field));
    }

    /// Takes off what belongs to the connection it came on.
    pub(crate) fn remove_hop_by_hop(&mut self) {
        let named: Vec<Vec<u8>> = self.list("connection").map(<[u8]>::to_vec).collect();
        self.retain(|field| !is_hop_by_hop(field, &named));
    }

    /// Keeps the lines whose name `keeps` wants.
    fn retain(&mut self, keeps: impl Fn(&[u8]) -> bool) {
        let Fields { text, lines } = self;
        lines.retain(|line| keeps(text.get(line.start..line.name_end).unwrap_or_default()));
    }

    /// Appends the lines that may cross a proxy and whose name `keeps` wants.
    pub(crate) fn write_crossing(&self, head: &mut Vec<u8>, keeps: impl Fn(&[u8]) -> bool) {
        let named: Vec<&[u8]> = self.list("connection").collect();
        self.write_lines(head, |field| !is_hop_by_hop(field, &named) && keeps(field));
    }

    /// Appends the lines and the empty line that ends a head.
    pub(crate) fn write_to(&self, head: &mut Vec<u8>) {
        head.reserve(self.size());
        self.write_lines(head, |_| true);
        head.extend_from_slice(BREAK);
    }

    fn write_lines(&self, head: &mut Vec<u8>, keeps: impl Fn(&[u8]) -> bool) {
        for line in self.lines.iter().filter(|line| keeps(self.name(line))) {
            let whole = self.text.get(line.start..line.end + BREAK.len());
            head.extend_from_slice(whole.unwrap_or_default());
        }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        let own = self.lines.iter().map(|line| (self.name(line), self.value(line)));
        own.eq(other.lines.iter().map(|line| (other.name(line), other.value(line))))
    }
}

impl fmt::Debug for Fields {
    /// The names alone: values may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.lines.iter().map(|line| String::from_utf8_lossy(self.name(line))))
            .finish()
    }
}

/// True for what belongs to the connection that it came on; `named` is what its `Connection` names.
fn is_hop_by_hop(field: &[u8], named: &[impl AsRef<[u8]>]) -> bool {
    let among =
        |names: &[&str]| names.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
    let named = named.iter().any(|name| field.eq_ignore_ascii_case(name.as_ref()));
    among(&HOP_BY_HOP) || (named && !among(&END_TO_END))
}

/// True for what only the first proxy may say: where a request came from, and what it was before somebody
/// rewrote it, which some frameworks take for what it is. CGI and its heirs take `_` for `-`, so a name is looked
/// at as they see it; so are names that frame a message and would be spelt wrongly here.
pub(crate) fn is_claim(field: &[u8]) -> bool {
    let misspelt = field.contains(&b'_')
        && (seen_by_cgi(field, b"content-length") || seen_by_cgi(field, b"transfer-encoding"));
    misspelt
        || seen_by_cgi(field, b"forwarded")
        || seen_by_cgi(field, b"x-real-ip")
        || seen_by_cgi(field, b"x-rewrite-url")
        || field.get(..11).is_some_and(|start| seen_by_cgi(start, b"x-original-"))
        || field.get(..12).is_some_and(|start| seen_by_cgi(start, b"x-forwarded-"))
}

/// `field` is `name`, in any case and with `_` for `-`.
fn seen_by_cgi(field: &[u8], name: &[u8]) -> bool {
    let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
    field.len() == name.len() && field.iter().zip(name).all(same)
}

#[cfg(test)]
mod tests {
    use super::Fields;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name, *value);
        }
        fields
    }

    #[test]
    fn what_connection_names_does_not_cross() {
        let mut crossing = fields(&[
            ("Connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Host", "a"),
        ]);
        crossing.remove_hop_by_hop();
        assert_eq!(crossing, fields(&[("Host", "a")]));
    }

    #[test]
    fn lists_are_read_over_all_their_lines() {
        let lines = fields(&[("Connection", "keep-alive ,"), ("connection", "Upgrade")]);
        assert!(lines.lists("Connection", "upgrade"));
        assert_eq!(lines.list("connection").count(), 2);
    }
}
