//! The account's key, and what is signed with it: JWS in the flattened form (RFC 7515 section 7.2.2), as
//! RFC 8555 section 6.2 wants it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::ExternalAccount;
use crate::security::pem;

/// The key of an account: ECDSA on P-256, for ES256, which every authority has to accept (RFC 8555 section
/// 6.2).
pub(crate) struct AccountKey {
    pair: EcdsaKeyPair,
    /// PKCS#8.
    der: Zeroizing<Vec<u8>>,
    /// The coordinates of the public point in base64url.
    x: String,
    y: String,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({})", self.thumbprint())
    }
}

impl AccountKey {
    /// # Errors
    /// The random source or the cryptographic library fails.
    pub(crate) fn generate() -> Result<AccountKey, String> {
        let failed = |_| "the key of the ACME account could not be made".to_owned();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
        let der = pair.to_pkcs8v1().map_err(failed)?;
        AccountKey::from_pkcs8(der.as_ref())
    }

    /// Reads what [`AccountKey::to_pem`] wrote.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is repeated.
    pub(crate) fn from_pem(text: &str) -> Result<AccountKey, String> {
        let blocks = pem::read(text.as_bytes());
        let keys = blocks.as_ref().map(|blocks| blocks.keys.as_slice()).unwrap_or_default();
        match keys {
            [key] => AccountKey::from_pkcs8(key.secret_der()),
            _ => Err("the key of the ACME account is not one private key in PEM".to_owned()),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<AccountKey, String> {
        let unusable = || "the key of the ACME account is not an ECDSA key on P-256".to_owned();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| unusable())?;
        // 4, and both coordinates of 32 bytes (SEC 1 section 2.3.3).
        let point = pair.public_key().as_ref().get(1..65).ok_or_else(unusable)?;
        let (x, y) = point.split_at(32);
        let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
        Ok(AccountKey { pair, der: Zeroizing::new(der.to_vec()), x, y })
    }

    /// PKCS#8 in PEM.
    pub(crate) fn to_pem(&self) -> Zeroizing<String> {
        pem::write(&[], &PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.der.as_slice())))
    }

    /// SHA-256 of the public key in base64url (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        // The members in this order, and no space.
        let AccountKey { x, y, .. } = self;
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64URL.encode(digest::digest(&digest::SHA256, text.as_bytes()))
    }

    /// What proves to the authority that the holder of this key answers a challenge (RFC 8555 section 8.1).
    pub(crate) fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }

    /// The public key (RFC 7517).
    fn jwk(&self) -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": self.x, "y": self.y})
    }

    /// Signs a request to `url`. `account` is the account's URL; without it, the public key itself is sent,
    /// as the request for a new account does.
    ///
    /// # Errors
    /// The random source or the cryptographic library fails.
    pub(super) fn sign(
        &self,
        account: Option<&str>,
        nonce: &str,
        url: &str,
        payload: &str,
    ) -> Result<String, String> {
        let header = match account {
            Some(account) => json!({"alg": "ES256", "kid": account, "nonce": nonce, "url": url}),
            None => json!({"alg": "ES256", "jwk": self.jwk(), "nonce": nonce, "url": url}),
        };
        let signed = flattened(&header.to_string(), payload, |input| {
            let signature = self.pair.sign(&SystemRandom::new(), input);
            let failed = |_| "a request to the ACME authority could not be signed".to_owned();
            signature.map(|signature| signature.as_ref().to_vec()).map_err(failed)
        })?;
        Ok(signed.to_string())
    }

    /// Ties a new account to one that the authority knows by other means (RFC 8555 section 7.3.4). `url` is
    /// that of the request for a new account.
    ///
    /// # Errors
    /// None today; as [`AccountKey::sign`].
    pub(super) fn bind(&self, external: &ExternalAccount, url: &str) -> Result<Value, String> {
        let header = json!({"alg": "HS256", "kid": external.kid, "url": url});
        flattened(&header.to_string(), &self.jwk().to_string(), |input| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &external.key());
            Ok(hmac::sign(&key, input).as_ref().to_vec())
        })
    }
}

/// Signs header and payload (RFC 7515 section 5.1).
fn flattened(
    header: &str,
    payload: &str,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
) -> Result<Value, String> {
    let (protected, payload) = (BASE64URL.encode(header), BASE64URL.encode(payload));
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({
        "protected": protected,
        "payload": payload,
        "signature": BASE64URL.encode(signature),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING};
    use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};
    use base64::Engine as _;
    use serde_json::Value;

    use super::{AccountKey, BASE64URL, ExternalAccount, flattened};

    /// The claims of RFC 7515 appendix A.1, as they are written there.
    const CLAIMS: &str = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \
                          \"http://example.com/is_root\":true}";

    fn decoded(text: &str) -> Vec<u8> {
        BASE64URL.decode(text).unwrap()
    }

    /// The key of RFC 7515 appendix A.3.
    fn example() -> AccountKey {
        let x = decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        let y = decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let secret = decoded("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let point = [vec![4], x, y].concat();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &secret, &point);
        AccountKey::from_pkcs8(pair.unwrap().to_pkcs8v1().unwrap().as_ref()).unwrap()
    }

    fn parts(signed: &Value) -> (Vec<u8>, Vec<u8>) {
        let part = |name: &str| signed[name].as_str().unwrap();
        let input = format!("{}.{}", part("protected"), part("payload"));
        (input.into_bytes(), decoded(part("signature")))
    }

    #[test]
    fn signatures_are_made_of_what_the_rfc_signs() {
        let key = decoded(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        );
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let signed = flattened(header, CLAIMS, |input| {
            Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), input).as_ref().to_vec())
        });
        let expected = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // appendix A.1
        assert_eq!(signed.unwrap()["signature"], expected);

        let signature = decoded(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ); // appendix A.3
        let signed = flattened("{\"alg\":\"ES256\"}", CLAIMS, |_| Ok(signature)).unwrap();
        let (input, signature) = parts(&signed);
        let public = example().pair.public_key().as_ref().to_vec();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(&input, &signature)
            .unwrap();
    }

    /// Made with `openssl dgst -sha256 -binary` of the members in the order of RFC 7638 section 3.2.
    #[test]
    fn the_thumbprint_is_that_of_openssl() {
        let key = example();
        assert_eq!(key.thumbprint(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert_eq!(key.key_authorization("token"), format!("token.{}", key.thumbprint()));
    }

    #[test]
    fn a_key_is_read_again_by_itself_and_by_openssl() {
        let key = AccountKey::generate().unwrap();
        let text = key.to_pem();
        assert_eq!(AccountKey::from_pem(&text).unwrap().thumbprint(), key.thumbprint());

        let folder = std::env::temp_dir().join(format!("acme-key-{}", std::process::id()));
        std::fs::write(&folder, text.as_bytes()).unwrap();
        let seen =
            Command::new("openssl").args(["pkey", "-noout", "-text", "-in"]).arg(&folder).output();
        std::fs::remove_file(&folder).unwrap();
        let seen = String::from_utf8(seen.unwrap().stdout).unwrap();
        assert!(seen.contains("prime256v1"), "{seen}");
        assert!(!format!("{key:?}").contains(text.lines().nth(1).unwrap()));
    }

    #[test]
    fn other_keys_are_refused_without_being_repeated() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let two = [example().to_pem().as_str(), example().to_pem().as_str()].concat();
        for text in [p384.serialize_pem(), two, "secret".to_owned(), String::new()] {
            let error = AccountKey::from_pem(&text).unwrap_err();
            assert!(error.starts_with("the key of the ACME account is not"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn requests_are_signed_with_the_key_itself_or_in_the_name_of_its_account() {
        let key = example();
        let public = key.pair.public_key().as_ref().to_vec();
        for account in [None, Some("https://ca.example/account/1")] {
            let signed = key.sign(account, "n0", "https://ca.example/x", "{}").unwrap();
            let signed: Value = serde_json::from_str(&signed).unwrap();
            let (input, signature) = parts(&signed);
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public);
            public.verify(&input, &signature).unwrap();
            let header = decoded(signed["protected"].as_str().unwrap());
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!((&header["alg"], &header["nonce"]), (&"ES256".into(), &"n0".into()));
            assert_eq!(header["url"], "https://ca.example/x");
            assert_eq!(header.get("kid").and_then(Value::as_str), account);
            assert_eq!(header.get("jwk").is_some(), account.is_none());
        }
    }

    #[test]
    fn an_external_account_signs_the_public_key_and_shows_no_secret() {
        let external =
            ExternalAccount { kid: "customer".to_owned(), hmac_key: "c2VjcmV0".to_owned().into() };
        let key = example();
        let bound = key.bind(&external, "https://ca.example/new").unwrap();
        let (input, mac) = parts(&bound);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        hmac::verify(&secret, &input, &mac).unwrap();
        let payload: Value =
            serde_json::from_slice(&decoded(bound["payload"].as_str().unwrap())).unwrap();
        assert_eq!(payload, key.jwk());
        assert_eq!(format!("{external:?}"), "ExternalAccount(customer)");
    }
}
