//! Header fields as received: order and spelling are kept, names are compared without regard to case.

use std::fmt;

use crate::util::append::append;
use crate::util::spares::{BYTES, Spares};

/// All field lines of one head, in one buffer. A value has no surrounding white space and no control
/// character except tab.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    /// Lines of `Name: value` and CRLF, and bytes that belong to no line.
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// Offsets in the text: where a line begins, where its name ends and where its value ends.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    name_end: usize,
    end: usize,
}

thread_local! {
    static LINES: Spares<Line> = const { Spares::new() };
}

const COLON: &[u8] = b": ";
const CRLF: &[u8] = b"\r\n";

/// Fields that belong to one connection and are never forwarded (RFC 9110 section 7.6.1), in addition to
/// those that `Connection` names. `Trailer` is forwarded; the sender writes its own `Transfer-Encoding`.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields for all recipients: `Connection` must not name them (RFC 9110 section 7.6.1), because the next
/// server would read a message that has lost its framing differently.
const END_TO_END: [&str; 4] = ["content-length", "host", "authorization", "expect"];

impl Fields {
    /// Copies the fields that httparse has found in `head`.
    pub(crate) fn from_parsed(head: &[u8], parsed: &[httparse::Header<'_>]) -> Fields {
        let mut fields = Fields { text: BYTES.with(Spares::take), lines: LINES.with(Spares::take) };
        fields.text.extend_from_slice(head);
        fields.lines.reserve(parsed.len());
        for header in parsed {
            let value = header.value.trim_ascii();
            let start = header.name.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
            match fields.line(start, header.name.len(), value.len()) {
                Some(line) => fields.lines.push(line),
                None => fields.push(header.name, value),
            }
        }
        fields
    }

    /// The line of the text that begins at `start`, if it is written as [`Fields::push`] writes it.
    fn line(&self, start: usize, name: usize, value: usize) -> Option<Line> {
        let name_end = start + name;
        let end = name_end + COLON.len() + value;
        let written = self.text.get(name_end..)?.starts_with(COLON)
            && self.text.get(end..)?.starts_with(CRLF);
        written.then_some(Line { start, name_end, end })
    }

    /// Bytes that [`Fields::write_to`] writes at most.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + CRLF.len()
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

    /// The values of all lines that CGI and its successors take for `name`, which is in lower case.
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

    /// The members of a comma-separated list field over all its lines, trimmed, without empty ones.
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

    /// Appends a line; `name` and `value` must not contain line breaks.
    pub(crate) fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let start = self.text.len();
        let name_end = start + name.len();
        append(&mut self.text, &[name.as_bytes(), COLON, value.as_ref(), CRLF]);
        self.lines.push(Line { start, name_end, end: self.text.len() - CRLF.len() });
    }

    /// Removes the fields that only the first proxy may set; see [`is_forwarding_claim`].
    pub(crate) fn remove_forwarding_claims(&mut self) {
        self.retain(|field| !is_forwarding_claim(field));
    }

    /// Removes the fields that belong to the connection on which the message came.
    pub(crate) fn remove_hop_by_hop(&mut self) {
        let named: Vec<Vec<u8>> = self.list("connection").map(<[u8]>::to_vec).collect();
        self.retain(|field| !is_hop_by_hop(field, &named));
    }

    /// Keeps the lines whose name satisfies `keeps`.
    fn retain(&mut self, keeps: impl Fn(&[u8]) -> bool) {
        let Fields { text, lines } = self;
        lines.retain(|line| keeps(text.get(line.start..line.name_end).unwrap_or_default()));
    }

    /// Writes the lines that may be forwarded and whose name satisfies `keeps`.
    pub(crate) fn write_end_to_end(&self, head: &mut Vec<u8>, keeps: impl Fn(&[u8]) -> bool) {
        let named: Vec<&[u8]> = self.list("connection").collect();
        self.write_lines(head, |field| !is_hop_by_hop(field, &named) && keeps(field));
    }

    /// Writes all lines and the empty line that ends a head.
    pub(crate) fn write_to(&self, head: &mut Vec<u8>) {
        head.reserve(self.size());
        self.write_lines(head, |_| true);
        append(head, &[CRLF]);
    }

    fn write_lines(&self, head: &mut Vec<u8>, keeps: impl Fn(&[u8]) -> bool) {
        let mut run = 0..0; // of lines that follow each other, which are copied together
        for line in self.lines.iter().filter(|line| keeps(self.name(line))) {
            if line.start != run.end {
                head.extend_from_slice(self.text.get(run).unwrap_or_default());
                run = line.start..line.start;
            }
            run.end = line.end + CRLF.len();
        }
        head.extend_from_slice(self.text.get(run).unwrap_or_default());
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        BYTES.with(|spares| spares.recycle(std::mem::take(&mut self.text)));
        LINES.with(|spares| spares.recycle(std::mem::take(&mut self.lines)));
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Fields) -> bool {
        let own = self.lines.iter().map(|line| (self.name(line), self.value(line)));
        own.eq(other.lines.iter().map(|line| (other.name(line), other.value(line))))
    }
}

impl fmt::Debug for Fields {
    /// Shows only the names, because values may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.lines.iter().map(|line| String::from_utf8_lossy(self.name(line))))
            .finish()
    }
}

/// True for a field that belongs to one connection; `named` are the names in its `Connection` field.
fn is_hop_by_hop(field: &[u8], named: &[impl AsRef<[u8]>]) -> bool {
    let among =
        |names: &[&str]| names.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()));
    let named = named.iter().any(|name| field.eq_ignore_ascii_case(name.as_ref()));
    among(&HOP_BY_HOP) || (named && !among(&END_TO_END))
}

/// True for a field that only the first proxy may set: where a request came from, and its target before a
/// rewrite, which some frameworks take for the actual target. CGI and its successors read `_` as `-`, so names
/// are compared that way; names that frame a message count too if they are spelt with `_`.
pub(crate) fn is_forwarding_claim(field: &[u8]) -> bool {
    let misspelt = field.contains(&b'_')
        && (seen_by_cgi(field, b"content-length") || seen_by_cgi(field, b"transfer-encoding"));
    misspelt
        || seen_by_cgi(field, b"forwarded")
        || seen_by_cgi(field, b"x-real-ip")
        || seen_by_cgi(field, b"x-rewrite-url")
        || field.get(..11).is_some_and(|start| seen_by_cgi(start, b"x-original-"))
        || field.get(..12).is_some_and(|start| seen_by_cgi(start, b"x-forwarded-"))
}

/// True if `field` is `name` in any case and with `_` for `-`.
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
    fn fields_that_connection_names_are_not_forwarded() {
        let mut forwarded = fields(&[
            ("Connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Host", "a"),
        ]);
        forwarded.remove_hop_by_hop();
        assert_eq!(forwarded, fields(&[("Host", "a")]));
    }

    #[test]
    fn lines_are_forwarded_in_one_spelling_of_their_blanks_whatever_they_came_with() {
        let head = b"A:1\r\nB: 2 \r\nC:  3\r\nD: 4\r\nE: \r\nF:\r\nG: :\r\n\r\n";
        let mut parsed = [httparse::EMPTY_HEADER; 8];
        let Ok(httparse::Status::Complete((_, parsed))) =
            httparse::parse_headers(head, &mut parsed)
        else {
            unreachable!("these are fields");
        };
        let mut fields = Fields::from_parsed(head, parsed);
        fields.remove("d");
        let mut written = Vec::new();
        fields.write_to(&mut written);
        assert_eq!(written, b"A: 1\r\nB: 2\r\nC: 3\r\nE: \r\nF: \r\nG: :\r\n\r\n");
    }

    #[test]
    fn lists_are_read_over_all_their_lines() {
        let lines = fields(&[("Connection", "keep-alive ,"), ("connection", "Upgrade")]);
        assert!(lines.lists("Connection", "upgrade"));
        assert_eq!(lines.list("connection").count(), 2);
    }
}
