//! Signed statements: `kid "." base64url(payload) "." base64url(signature)`.
//! What the signature covers is in [the specification](super#tokens). [`super::trust`] decides which keys
//! count.

use serde_json::Value;

use super::key::{KeyId, PublicKey, SigningKey, base64url, from_base64url};
use crate::license::protocol::PROTOCOL;
use crate::util::json;
use crate::util::words::words;

words! {
    /// The type of a token; a token of one type is never accepted as another.
    pub enum Type {
        /// The authority's keys, signed by a root key.
        Bundle = "bundle",
        /// Seconds granted to an appliance that is online.
        Lease = "lease",
        /// Seconds granted to an appliance that is offline.
        LicenseCertificate = "license-cert",
        /// Seconds returned by an appliance.
        ReturnReceipt = "return-receipt",
    }
}

/// Longest token that is read, in bytes.
pub const LONGEST: usize = 65_536;

/// Makes a token.
pub fn sign(kind: Type, kid: &KeyId, payload: &Value, key: &SigningKey) -> String {
    let payload = payload.to_string();
    let signature = key.sign(&signed_bytes(kind, kid, payload.as_bytes()));
    format!("{kid}.{}.{}", base64url(payload.as_bytes()), base64url(&signature))
}

/// A parsed token whose signature is not verified yet.
#[derive(Debug)]
pub struct Unverified {
    /// The key that claims to have signed it.
    pub kid: KeyId,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Unverified {
    /// `None` if `token` does not have the form of a token.
    pub fn parse(token: &str) -> Option<Unverified> {
        if token.len() > LONGEST {
            return None;
        }
        let mut parts = token.split('.');
        let kid = KeyId::parse(parts.next()?)?;
        let payload = from_base64url(parts.next()?)?;
        let signature = from_base64url(parts.next()?)?;
        parts.next().is_none().then_some(Unverified { kid, payload, signature })
    }

    /// The payload, if `key` signed it as a `kind`.
    #[must_use]
    pub fn verify(&self, kind: Type, key: &PublicKey) -> Option<Value> {
        let signed = signed_bytes(kind, &self.kid, &self.payload);
        if key.verifies(&signed, &self.signature) { self.unverified_payload() } else { None }
    }

    /// The payload without a check of the signature: to show it to a person, or to find a bundle in it
    /// that has its own signature.
    pub fn unverified_payload(&self) -> Option<Value> {
        json::parse(&self.payload).ok().filter(Value::is_object)
    }
}

fn signed_bytes(kind: Type, kid: &KeyId, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{PROTOCOL}/{}\0{kid}\0", kind.name()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{KeyId, SigningKey, Type, Unverified, sign};

    #[test]
    fn a_token_is_accepted_as_what_it_was_signed_as() {
        let (key, kid) = (SigningKey::generate().unwrap(), KeyId::parse("i1").unwrap());
        for kind in Type::ALL.iter().copied() {
            let token = sign(kind, &kid, &json!({"seq": 1}), &key);
            let token = Unverified::parse(&token).unwrap();
            for wanted in Type::ALL.iter().copied() {
                let accepted = token.verify(wanted, &key.public());
                assert_eq!(accepted, (wanted == kind).then(|| json!({"seq": 1})));
            }
            let other = SigningKey::generate().unwrap().public();
            assert_eq!(token.verify(kind, &other), None);
        }
    }

    #[test]
    fn no_bit_of_a_token_can_be_changed() {
        let (key, kid) = (SigningKey::generate().unwrap(), KeyId::parse("i1").unwrap());
        let token = sign(Type::Lease, &kid, &json!({"granted": 60}), &key).into_bytes();
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut changed = token.clone();
                changed[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(changed) else { continue };
                let accepted = Unverified::parse(&changed)
                    .and_then(|token| token.verify(Type::Lease, &key.public()));
                assert_eq!(accepted, None, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_not_taken_apart() {
        for text in
            ["", "i1", "i1.e30", "i1.e30.e30.e30", "i 1.e30.e30", "i1.e3 0.e30", "i1.e30=.e30"]
        {
            assert!(Unverified::parse(text).is_none(), "{text}");
        }
    }
}
