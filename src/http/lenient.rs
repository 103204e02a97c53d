//! A path as the most lenient service might read it.
//!
//! Paths are forwarded as they were judged, but some services decode twice, fold case, or drop parameters or
//! empty segments. Where that would change a decision, the stricter decision counts. The result of these
//! functions is never forwarded.

use std::borrow::Cow;

/// A path with its escapes decoded repeatedly, in lower case.
pub(crate) struct Reading<'a>(Cow<'a, str>);

impl Reading<'_> {
    pub(crate) fn of(path: &str) -> Reading<'_> {
        let plain = plain(path);
        if plain.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            return Reading(plain);
        }
        // Some letters of Unicode are equal only in upper case: U+017F is an `s`.
        Reading(plain.to_uppercase().to_lowercase().into())
    }

    /// The segments: `\` read as `/`, without parameters after a `;`, surrounding blanks and empty segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split(['/', '\\']).map(name).filter(|name| !name.is_empty())
    }

    /// True if these segments begin the path.
    pub(crate) fn starts_with(&self, segments: &[String]) -> bool {
        let mut read = self.segments();
        segments.iter().all(|segment| read.next() == Some(segment))
    }
}

/// The segments of a [`Reading`].
pub(crate) fn segments(path: &str) -> Vec<String> {
    Reading::of(path).segments().map(str::to_owned).collect()
}

/// True if a service might resolve a segment of `path` against the segments before it.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let may_have_dot = path.bytes().any(|byte| matches!(byte, b'.' | b'%'));
    may_have_dot
        && plain(path).split(['/', '\\']).any(|segment| matches!(name(segment), "." | ".."))
}

/// A segment without what follows a `;`, which servlet containers drop, and without blanks, which others drop.
fn name(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default().trim()
}

fn plain(path: &str) -> Cow<'_, str> {
    if path.contains('%') {
        Cow::Owned(String::from_utf8_lossy(&decoded(path)).into_owned())
    } else {
        Cow::Borrowed(path)
    }
}

/// Decodes percent-encoding until nothing is left to decode.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        plain.push(byte);
        // A decoded byte may complete another escape.
        while let Some(value) = escape(&plain) {
            plain.truncate(plain.len() - 3);
            plain.push(value);
        }
    }
    plain
}

/// The byte that the last three bytes encode, if they are an escape.
fn escape(bytes: &[u8]) -> Option<u8> {
    let [.., b'%', high, low] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decoded, has_dot_segment, segments};

    #[test]
    fn a_path_is_read_as_the_most_lenient_service_might() {
        for (path, read) in [
            ("/", ""),
            ("/v2/jobs/7", "v2 jobs 7"),
            ("//V2///jobs;a=b/;x/", "v2 jobs"),
            ("/%76%32/%256aobs", "v2 jobs"),
            ("/v2/job%C5%BF%20/%20", "v2 jobs"),
            ("/v2%252fjobs%255c7", "v2 jobs 7"),
            ("/a%ff", "a\u{fffd}"),
        ] {
            assert_eq!(segments(path).join(" "), read, "{path}");
        }
    }

    #[test]
    fn a_dot_segment_is_found_wherever_a_service_might_see_one() {
        for path in [
            "/a/..",
            "/./a",
            "/a/..;x/b",
            "/..%3bx",
            "/.%20",
            "/%252e%252e",
            "/a%252f..",
            "/a%255c..",
        ] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/", "/a/.b/..c/d..", "/...", "/a;../b", "/%20", "/a%252fb"] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }

    #[test]
    fn escapes_are_decoded_until_none_is_left() {
        for (text, plain) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%41%", "A%"),
            ("%25252541", "A"),
            ("%2%35%34%31", "A"),
        ] {
            assert_eq!(decoded(text), plain.as_bytes(), "{text}");
        }
        // As long as a line may be, in one pass.
        assert_eq!(decoded(&format!("%{}41", "25".repeat(4_000))), b"A");
    }
}
