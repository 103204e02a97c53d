//! Keys: Ed25519 to sign (device, issuer, root), X25519 to seal requests to the authority.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::hex::Digest;
use super::random::{CryptoError, random};

/// Writes base64url without padding (RFC 4648 section 5); every value has one spelling.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`base64url`] writes.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// An Ed25519 key that signs (RFC 8032); kept as its 32-byte seed.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> Result<SigningKey, CryptoError> {
        SigningKey::from_seed(&random()?)
    }

    /// The key whose private part is `seed`; any 32 bytes are one.
    ///
    /// # Errors
    /// When the library fails.
    pub fn from_seed(seed: &[u8; 32]) -> Result<SigningKey, CryptoError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError)?;
        Ok(SigningKey { pair, seed: Zeroizing::new(*seed) })
    }

    /// The secret, to be kept in a file of mode 0600.
    pub fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(public)
    }

    /// The signature: 64 bytes, always equal for an equal message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Shows the public half only.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// An Ed25519 key that verifies; written in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<PublicKey> {
        from_base64url(text)?.try_into().ok().map(PublicKey)
    }

    /// Whether this key signed `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// SHA-256 of the 32 bytes; tokens identify a device by it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

/// The name of a key of the authority: one to four of `a-z` and `0-9`, as in `i1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// Longest name: a certificate has room for this many bytes.
    pub const LONGEST: usize = 4;

    /// `None` for anything else.
    pub fn parse(text: &str) -> Option<KeyId> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fine = (1..=KeyId::LONGEST).contains(&text.len()) && text.bytes().all(plain);
        fine.then(|| KeyId(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key that requests are sealed to: an X25519 public key (RFC 7748) and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPublicKey {
    /// Its name in the bundle.
    pub kid: KeyId,
    /// The 32 bytes.
    pub public: [u8; 32],
}

/// The key that opens requests: the authority's X25519 key.
pub struct RequestKey {
    /// Its name in the bundle.
    pub kid: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl RequestKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate(kid: KeyId) -> Result<RequestKey, CryptoError> {
        Ok(RequestKey { kid, secret: Zeroizing::new(random()?) })
    }

    /// The key with these secret bytes; any 32 are one.
    pub fn from_secret(kid: KeyId, secret: &[u8; 32]) -> RequestKey {
        RequestKey { kid, secret: Zeroizing::new(*secret) }
    }

    /// The secret, to be kept in a file of mode 0600.
    pub fn secret(&self) -> &Zeroizing<[u8; 32]> {
        &self.secret
    }

    /// The public half.
    ///
    /// # Errors
    /// When the library fails.
    pub fn public(&self) -> Result<RequestPublicKey, CryptoError> {
        let private =
            PrivateKey::from_private_key(&X25519, &self.secret[..]).map_err(|_| CryptoError)?;
        let public = private.compute_public_key().map_err(|_| CryptoError)?;
        let public = public.as_ref().try_into().map_err(|_| CryptoError)?;
        Ok(RequestPublicKey { kid: self.kid.clone(), public })
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({})", self.kid)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{KeyId, PublicKey, RequestKey, SigningKey};
    use crate::license::protocol::hex;

    fn bytes(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_seed_gives_the_key_and_signature_of_rfc_8032() {
        // RFC 8032 section 7.1, TEST 1
        let key = SigningKey::from_seed(&bytes(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        ))
        .unwrap();
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(key.public(), PublicKey(public));
        let signature = key.sign(b"");
        assert!(hex::encode(&signature).starts_with("e5564300c360ac729086e2cc806e828a"));
        assert!(key.public().verifies(b"", &signature));
        assert!(!key.public().verifies(b"x", &signature));
        assert!(!format!("{key:?}").contains("9d61"), "{key:?}");
    }

    #[test]
    fn request_keys_have_the_public_half_of_rfc_7748() {
        // RFC 7748 section 5.2: the first of the repeated multiplications, of the base point
        let kid = KeyId::parse("k1").unwrap();
        let mut secret = [0; 32];
        secret[0] = 9;
        let public = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
        let key = RequestKey::from_secret(kid, &secret);
        assert_eq!(key.public().unwrap().public, bytes(public));
    }

    #[test]
    fn names_of_keys_are_short_and_plain() {
        for name in ["i1", "k999", "r"] {
            assert_eq!(KeyId::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "k1000", "K1", "k.1", "é"] {
            assert_eq!(KeyId::parse(name), None, "{name}");
        }
    }
}
