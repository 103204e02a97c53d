//! Which kinds of certificate key are supported, and the names of the others.

use std::fmt;

use x509_parser::der_parser::asn1_rs::{Any, Oid, Tag};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// NIST SP 800-57 part 1 accepts 2048 bits until 2030; browsers accept no less.
const FEWEST_RSA_BITS: usize = 2048;
/// The most that the cryptographic library signs with.
const MOST_RSA_BITS: usize = 8192;

/// The end of every message about an unsupported key.
pub(super) const SUPPORTED: &str =
    "taken are RSA keys of 2048 to 8192 bits, ECDSA keys on P-256 and P-384, and Ed25519";

/// The kind of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa(usize),
    P256,
    P384,
    Ed25519,
    /// Any other kind, by its common name.
    Other(String),
}

impl Kind {
    /// # Errors
    /// Why the key is not supported, completing "certificate 1 has …".
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Kind::Rsa(bits) if *bits < FEWEST_RSA_BITS => {
                Err(format!("an RSA key of {bits} bits, which is too short"))
            }
            Kind::Rsa(bits) if *bits > MOST_RSA_BITS => {
                Err(format!("an RSA key of {bits} bits, which is too long"))
            }
            Kind::Rsa(_) | Kind::P256 | Kind::P384 | Kind::Ed25519 => Ok(()),
            Kind::Other(name) => Err(format!("a key of the kind {name}, which is not supported")),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Rsa(bits) => write!(f, "RSA-{bits}"),
            Kind::P256 => f.write_str("ECDSA-P256"),
            Kind::P384 => f.write_str("ECDSA-P384"),
            Kind::Ed25519 => f.write_str("Ed25519"),
            Kind::Other(name) => f.write_str(name),
        }
    }
}

/// RFC 3279 section 2.3, RFC 5480 section 2.1.1, RFC 8410 section 3.
pub(super) fn kind(key: &SubjectPublicKeyInfo<'_>) -> Kind {
    // Explicit parameters may replace the name of a curve, so the tag is checked.
    let named = |any: &&Any<'_>| any.tag() == Tag::Oid;
    let curve =
        || key.algorithm.parameters.as_ref().filter(named).and_then(|any| any.as_oid().ok());
    match text(&key.algorithm.algorithm).as_str() {
        "1.2.840.113549.1.1.1" => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => Kind::Rsa(bits(rsa.modulus)),
            _ => Kind::Other("RSA with a damaged key".to_owned()),
        },
        "1.2.840.10045.2.1" => match curve().as_ref().map(text).as_deref() {
            Some("1.2.840.10045.3.1.7") => Kind::P256,
            Some("1.3.132.0.34") => Kind::P384,
            Some("1.3.132.0.35") => Kind::Other("ECDSA-P521".to_owned()),
            Some("1.3.132.0.10") => Kind::Other("ECDSA-secp256k1".to_owned()),
            Some(curve) => Kind::Other(format!("ECDSA on the curve {curve}")),
            None => Kind::Other("ECDSA on a curve without a name".to_owned()),
        },
        "1.3.101.112" => Kind::Ed25519,
        "1.3.101.113" => Kind::Other("Ed448".to_owned()),
        "1.2.840.10040.4.1" => Kind::Other("DSA".to_owned()),
        "1.2.840.113549.1.1.10" => Kind::Other("RSA restricted to PSS".to_owned()),
        other => Kind::Other(other.to_owned()),
    }
}

fn text(oid: &Oid<'_>) -> String {
    oid.to_id_string()
}

/// Bits of a big-endian number without its leading zeros.
fn bits(number: &[u8]) -> usize {
    match number.iter().position(|byte| *byte != 0) {
        Some(first) => (number.len() - first) * 8 - number[first].leading_zeros() as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn leading_zeros_make_no_key_longer() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x7f, 0xff]), 15);
        assert_eq!(bits(&[0, 0]), 0);
    }
}
