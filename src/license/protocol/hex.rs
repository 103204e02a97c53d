//! Hexadecimal text, and the fixed-size values that are written in it.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::random::CryptoError;

/// Writes lower-case hexadecimal digits.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Reads hexadecimal digits of either case. `None` for an odd length or any other character.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Identifies one request, so that repeating it changes nothing: 16 random bytes, 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; 16]);

impl RequestId {
    /// A new random id.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> Result<RequestId, CryptoError> {
        super::random::random().map(RequestId)
    }

    /// Reads exactly 32 lower-case hex digits, as `Display` writes them.
    pub fn parse(text: &str) -> Option<RequestId> {
        exact(text).map(RequestId)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

/// A SHA-256 digest, written as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// 64 zeros: "there is none yet".
    pub const NONE: Digest = Digest([0; 32]);

    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads exactly 64 lower-case hex digits, as `Display` writes them.
    pub fn parse(text: &str) -> Option<Digest> {
        exact(text).map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(&self.0))
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// Accepts only the spelling that `encode` writes, because a signed value must not have two spellings.
fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = decode(text)?.try_into().ok()?;
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Digest, RequestId, decode, encode};

    #[test]
    fn hex_is_read_in_either_case_and_written_in_lower() {
        assert_eq!(encode(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(decode("009FfF"), Some(vec![0, 0x9f, 0xff]));
        for text in ["0", "0g", "é0", "+1", " 1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn ids_and_digests_have_one_spelling() {
        let id = RequestId([0xab; 16]);
        assert_eq!(RequestId::parse(&id.to_string()), Some(id));
        assert_eq!(RequestId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(RequestId::parse("ab"), None);
        assert_eq!(Digest::parse(&"0".repeat(64)), Some(Digest::NONE));
        // FIPS 180-2 appendix B.1
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
    }
}
