//! Finds the blocks of a PEM text (RFC 7468), even if its line breaks were lost.
//!
//! A block is the text between its two markers, so lost line breaks, within a block or between two, do no
//! harm. Text that looks like a block and can't be read as one is rejected with its line number: ignoring
//! it would silently drop a certificate of the chain. Errors quote nothing of the text, not even unknown
//! labels, because where line breaks were lost a label may hold text of a key.

use crate::license::protocol::fields::INVISIBLE;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Labels that RFC 7468, OpenSSL and OpenSSH write.
const KNOWN: [&str; 20] = [
    "CERTIFICATE",
    "X509 CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "ATTRIBUTE CERTIFICATE",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "PKCS7",
    "PKCS #7 SIGNED DATA",
    "CMS",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "EC PARAMETERS",
    "DH PARAMETERS",
];

/// Longest label in bytes; real ones have half as many.
const LONGEST_LABEL: usize = 64;

/// A block of PEM.
pub(super) struct Block<'a> {
    /// A known label; `None` for any other.
    pub(super) label: Option<&'static str>,
    /// The text between the markers.
    pub(super) content: &'a [u8],
    start: usize,
}

/// Iterates over the blocks of a text.
pub(super) struct Markers<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    pub(super) fn of(text: &'a [u8]) -> Markers<'a> {
        Markers { text, at: 0 }
    }

    /// # Errors
    /// What is wrong with the next block, and its line.
    pub(super) fn next_block(&mut self) -> Result<Option<Block<'a>>, String> {
        let rest = &self.text[self.at..];
        let begin = find(rest, BEGIN);
        self.check_between(&rest[..begin.unwrap_or(rest.len())], begin.is_some())?;
        let Some(begin) = begin else { return Ok(None) };
        let start = self.at + begin;
        let (label, content) = label(&rest[begin + BEGIN.len()..]).ok_or_else(|| {
            format!(
                "line {} holds a BEGIN that is no whole `-----BEGIN CERTIFICATE-----` or \
                 `-----BEGIN PRIVATE KEY-----`, with five hyphens on either side",
                self.line(start)
            )
        })?;
        let known = KNOWN.into_iter().find(|known| known.as_bytes() == label);
        let end = find(content, DASHES).unwrap_or(content.len());
        let closing = content[end..].strip_prefix(END).and_then(self::label);
        match closing {
            Some((closing, after)) if closing == label => {
                self.at = self.text.len() - after.len();
                if known.is_none() && find(label, b"CERT").is_some() {
                    return Err(format!(
                        "line {} begins a block of an unknown kind; a certificate begins with \
                         `-----BEGIN CERTIFICATE-----`",
                        self.line(start)
                    ));
                }
                Ok(Some(Block { label: known, content: &content[..end], start }))
            }
            _ => Err(format!(
                "the {} that begins in line {} has no END line, so the file may be cut short",
                named(known),
                self.line(start)
            )),
        }
    }

    /// Accepts text around blocks, unless it may hold a damaged block.
    fn check_between(&self, text: &[u8], before_a_block: bool) -> Result<(), String> {
        let mut at = self.at;
        let mut lines = text.split(is_line_end).peekable();
        while let Some(line) = lines.next() {
            if before_a_block && lines.peek().is_none() {
                if !is_blank(line) {
                    return Err(format!(
                        "in line {} something stands before `-----BEGIN `: take it away, or give the \
                         block lines of its own",
                        self.line(at)
                    ));
                }
            } else if is_like_begin(line) {
                return Err(format!(
                    "line {} looks like the begin of a certificate and is not: it must be \
                     `-----BEGIN CERTIFICATE-----`, with five hyphens on either side",
                    self.line(at)
                ));
            }
            at += line.len() + 1;
        }
        Ok(())
    }

    /// Describes a block for error messages: "CERTIFICATE block that begins in line 21".
    pub(super) fn place(&self, block: &Block<'_>) -> String {
        format!("{} that begins in line {}", named(block.label), self.line(block.start))
    }

    /// The line number of this position, as an editor counts; CR LF is one line end.
    fn line(&self, at: usize) -> usize {
        let before = &self.text[..at];
        let alone = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
        let old = self.text[..self.text.len().min(at + 1)].windows(2).filter(|pair| alone(pair));
        1 + before.iter().filter(|byte| **byte == b'\n').count() + old.count()
    }
}

fn named(label: Option<&'static str>) -> String {
    label.map_or_else(|| "block".to_owned(), |label| format!("{label} block"))
}

/// Splits a label from the text after the hyphens that end its marker.
fn label(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = find(&text[..text.len().min(LONGEST_LABEL + DASHES.len())], DASHES)?;
    let plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'-';
    let label = &text[..end];
    (!label.is_empty() && label.iter().all(plain)).then(|| (label, &text[end + DASHES.len()..]))
}

/// Whether this looks like a marker with too few hyphens, or with dashes that a word processor put there.
fn is_like_begin(line: &[u8]) -> bool {
    let dash = |c: char| c == '-' || ('\u{2010}'..='\u{2015}').contains(&c);
    find(line, b"BEGIN").is_some()
        && find(line, b"CERTIFICATE").is_some()
        && String::from_utf8_lossy(line).trim_start_matches(is_unseen).starts_with(dash)
}

/// White space, which RFC 7468 section 2 lets parsers ignore, and invisible characters.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_whitespace() || INVISIBLE.contains(&c)
}

pub(super) fn is_blank(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_unseen))
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
