//! Texts that the binary carries, without what only their readers here need: indents, empty lines, comment lines.

/// The text of a file beside the caller's, compacted when the program is built. `lines`: its line ends stay, as
/// scripts need them. `one line`: they go too; no string of JSON has one.
macro_rules! compact {
    (lines $file:literal) => {
        $crate::management::web::compact::compact!($file, true)
    };
    (one line $file:literal) => {
        $crate::management::web::compact::compact!($file, false)
    };
    ($file:literal, $lines:literal) => {{
        use $crate::management::web::compact;
        const SOURCE: &[u8] = include_bytes!($file);
        const BYTES: [u8; compact::length(SOURCE, $lines)] = compact::compacted(SOURCE, $lines);
        // Empty if it is not UTF-8, which a test detects.
        const TEXT: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        };
        TEXT
    }};
}

pub(super) use compact;

/// Bytes that are left of `source`.
pub(super) const fn length(source: &[u8], lines: bool) -> usize {
    copy(source, lines, &mut [])
}

/// The bytes that are left of `source`, `N` of them.
pub(super) const fn compacted<const N: usize>(source: &[u8], lines: bool) -> [u8; N] {
    let mut target = [0; N];
    copy(source, lines, &mut target);
    target
}

/// Copies what is left into `target`, as far as that goes, and returns the number of bytes that are left.
const fn copy(source: &[u8], lines: bool, target: &mut [u8]) -> usize {
    let (mut start, mut length) = (0, 0);
    while start < source.len() {
        let line_end = end_of_line(source, start);
        let mut at = without_indent(source, start);
        if at < line_end && !is_comment(source, at) {
            let end = if lines { line_end + 1 } else { line_end };
            while at < end && at < source.len() {
                if length < target.len() {
                    target[length] = source[at];
                }
                length += 1;
                at += 1;
            }
        }
        start = line_end + 1;
    }
    length
}

/// The index of the next line end, or behind the last byte.
const fn end_of_line(source: &[u8], mut at: usize) -> usize {
    while at < source.len() && source[at] != b'\n' {
        at += 1;
    }
    at
}

/// The index of the next byte that is no space.
const fn without_indent(source: &[u8], mut at: usize) -> usize {
    while at < source.len() && source[at] == b' ' {
        at += 1;
    }
    at
}

const fn is_comment(source: &[u8], at: usize) -> bool {
    at + 1 < source.len() && source[at] == b'/' && source[at + 1] == b'/'
}

#[cfg(test)]
mod tests {
    use super::{compacted, length};

    #[test]
    fn indents_empty_lines_and_comment_lines_go() {
        const SOURCE: &[u8] = b"// why\nif (a) {\n    // note\n\n    b('// c');\n}\n";
        const LEFT: [u8; length(SOURCE, true)] = compacted(SOURCE, true);
        assert_eq!(&LEFT, b"if (a) {\nb('// c');\n}\n");
    }

    #[test]
    fn on_one_line_line_ends_go_and_other_spaces_stay() {
        const SOURCE: &[u8] = b"{\n    \"a b\": [1, 2],\n\n  \"c\": \" d\"\n}";
        const LEFT: [u8; length(SOURCE, false)] = compacted(SOURCE, false);
        assert_eq!(&LEFT, b"{\"a b\": [1, 2],\"c\": \" d\"}");
    }
}
