//! Host names.

/// RFC 1035 section 2.3.4, for a name and for what stands between its dots.
pub(crate) const LONGEST_NAME: usize = 253;
pub(crate) const LONGEST_LABEL: usize = 63;

/// Whether `text` is a host name in lower case: letters, digits and hyphens (RFC 1123 section 2.1).
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= LONGEST_NAME && text.split('.').all(label)
}
