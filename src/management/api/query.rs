//! Query strings: `application/x-www-form-urlencoded` as browsers and curl write it (URL standard, 5.1).

/// Every value of `name`, in order, decoded. Malformed escapes stay as they are; invalid UTF-8 is replaced.
pub(crate) fn values(query: &str, name: &str) -> Vec<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| decode(&key.replace('+', " ")) == name)
        .map(|(_, value)| decode(&value.replace('+', " ")))
        .collect()
}

/// Percent-decoding only (RFC 3986, 2.1).
pub(crate) fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{decode, values};

    #[test]
    fn values_are_found_repeated_and_decoded() {
        let query = "service_name=a%2Cb&x=1&service%5Fname=c+d&service_name";
        assert_eq!(values(query, "service_name"), ["a,b", "c d", ""]);
        assert!(values("", "service_name").is_empty());
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%c3%a4%ff"), "ä\u{fffd}");
    }
}
