//! JSON sources without their line ends and indents, which the binary need not hold: no string of JSON has a line end.

/// The text of a JSON file beside `docs.rs`, on one line.
macro_rules! compact {
    ($file:literal) => {{
        const SOURCE: &[u8] = include_bytes!($file);
        const BYTES: [u8; $crate::management::web::docs::compact::length(SOURCE)] =
            $crate::management::web::docs::compact::without_layout(SOURCE);
        // Empty if it is not UTF-8, which a test detects.
        const TEXT: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        };
        TEXT
    }};
}

pub(super) use compact;

/// Whether the byte at `index` is a line end or within an indent.
const fn is_layout(source: &[u8], index: usize, after_line_end: bool) -> bool {
    source[index] == b'\n' || (after_line_end && source[index] == b' ')
}

/// Bytes that are left.
pub(super) const fn length(source: &[u8]) -> usize {
    let (mut index, mut length, mut after_line_end) = (0, 0, true);
    while index < source.len() {
        after_line_end = is_layout(source, index, after_line_end);
        if !after_line_end {
            length += 1;
        }
        index += 1;
    }
    length
}

/// The bytes that are left, `N` of them.
pub(super) const fn without_layout<const N: usize>(source: &[u8]) -> [u8; N] {
    let mut compacted = [0; N];
    let (mut index, mut length, mut after_line_end) = (0, 0, true);
    while index < source.len() {
        after_line_end = is_layout(source, index, after_line_end);
        if !after_line_end {
            compacted[length] = source[index];
            length += 1;
        }
        index += 1;
    }
    compacted
}

#[cfg(test)]
mod tests {
    use super::{length, without_layout};

    #[test]
    fn line_ends_and_indents_go_and_other_spaces_stay() {
        const SOURCE: &[u8] = b"{\n    \"a b\": [1, 2],\n\n  \"c\": \" d\"\n}\n";
        const COMPACTED: [u8; length(SOURCE)] = without_layout(SOURCE);
        assert_eq!(&COMPACTED, b"{\"a b\": [1, 2],\"c\": \" d\"}");
    }
}
