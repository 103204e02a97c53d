//! The challenges by which a certificate authority checks that the appliance has the names it asks a
//! certificate for, as the gate answers them: http-01 (RFC 8555 section 8.3) and tls-alpn-01 (RFC 8737).
//!
//! In: what is published while an order waits for validation, and the certificates of tls-alpn-01. Out:
//! tokens and key authorizations as such, which the protocol makes; connections and requests, which are the
//! gate's.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256,
    SanType,
};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// The challenges that wait for validation; none most of the time.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    pub(crate) http: Vec<HttpChallenge>,
    pub(crate) alpn: Vec<AlpnChallenge>,
}

/// What the authority asks for by http-01, and gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpChallenge {
    /// Characters of base64url (RFC 8555 section 8.3), which stand in the path as they are.
    pub(crate) token: String,
    /// The token and the thumbprint of the account's key (RFC 8555 section 8.1); public.
    pub(crate) key_authorization: String,
}

/// What the authority asks for by tls-alpn-01, and gets.
#[derive(Debug, Clone)]
pub(crate) struct AlpnChallenge {
    /// In lower case, as the authority sends it by SNI.
    server_name: String,
    certificate: Arc<CertifiedKey>,
}

impl Challenges {
    /// The key authorization of the http-01 challenge with exactly this token.
    pub(crate) fn key_authorization(&self, token: &str) -> Option<&str> {
        let challenge = self.http.iter().find(|challenge| challenge.token == token)?;
        Some(&challenge.key_authorization)
    }

    /// The certificate of the tls-alpn-01 challenge for the name that a client sends by SNI.
    pub(crate) fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let is_asked = |c: &&AlpnChallenge| c.server_name.eq_ignore_ascii_case(server_name);
        self.alpn.iter().find(is_asked).map(|challenge| Arc::clone(&challenge.certificate))
    }
}

impl AlpnChallenge {
    /// Makes the certificate (RFC 8737 section 3) for `name`, a host name or an IP address: signed by itself,
    /// for that name alone, and with the digest of the key authorization in a critical extension. Its key is
    /// new.
    ///
    /// # Errors
    /// When `name` is no ASCII, or the random source or the cryptographic library fails.
    pub(crate) fn new(name: &str, key_authorization: &str) -> Result<AlpnChallenge, String> {
        let failed = |error: String| {
            format!("the challenge certificate for {name} could not be made: {error}")
        };
        let certificate = certificate(name, key_authorization).map_err(failed)?;
        Ok(AlpnChallenge { server_name: server_name(name), certificate: Arc::new(certificate) })
    }
}

fn certificate(name: &str, key_authorization: &str) -> Result<CertifiedKey, String> {
    let failed = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ACME challenge");
    params.subject_alt_names = vec![match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().map_err(failed)?),
    }];
    let digest = Sha256::digest(key_authorization);
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let mut pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&pair).map_err(failed)?;
    let key = Zeroizing::new(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der())));
    pair.zeroize();
    let signer = any_ecdsa_type(&key).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}

/// The name as it is sent by SNI, which has no IP addresses: those become names of the reverse zones (RFC
/// 8738 section 6).
fn server_name(name: &str) -> String {
    match name.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
        Err(_) => name.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use rustls::pki_types::CertificateDer;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::parse_x509_certificate;

    use super::{AlpnChallenge, Challenges, HttpChallenge, server_name};

    /// `printf token.thumbprint | openssl dgst -sha256`
    const DIGEST: &str = "eb5ac167fe249c76e53b430da3116c5d9fde4c5507ba6d01e885516e1bd49f92";

    /// The name and the acmeIdentifier extension of a challenge's certificate.
    fn contents(name: &str) -> (String, String) {
        let challenge = AlpnChallenge::new(name, "token.thumbprint").unwrap();
        let [certificate]: &[CertificateDer<'_>] = &challenge.certificate.cert else {
            unreachable!("one certificate")
        };
        let (_, parsed) = parse_x509_certificate(certificate).unwrap();
        assert_eq!(parsed.subject(), parsed.issuer());
        let key = &parsed.public_key().subject_public_key.data;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(parsed.tbs_certificate.as_ref(), &parsed.signature_value.data)
            .unwrap();
        let signer = challenge.certificate.key.public_key().unwrap();
        assert_eq!(signer.as_ref(), parsed.public_key().raw);
        let [san, acme] = parsed.extensions() else { unreachable!("{:?}", parsed.extensions()) };
        let ParsedExtension::SubjectAlternativeName(names) = san.parsed_extension() else {
            unreachable!("{san:?}")
        };
        let name = match names.general_names.as_slice() {
            [GeneralName::DNSName(name)] => (*name).to_owned(),
            [GeneralName::IPAddress(octets)] => format!("{octets:?}"),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(acme.oid.to_id_string(), "1.3.6.1.5.5.7.1.31");
        assert!(acme.critical);
        (name, acme.value.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    #[test]
    fn the_certificate_has_one_name_and_the_digest_of_the_key_authorization() {
        // An OCTET STRING of 32 bytes in the extension's value (RFC 8737 section 3).
        let digest = format!("0420{DIGEST}");
        assert_eq!(contents("Box.example"), ("Box.example".to_owned(), digest.clone()));
        assert_eq!(contents("192.0.2.7"), ("[192, 0, 2, 7]".to_owned(), digest));
        let refused = AlpnChallenge::new("bücher.example", "x").unwrap_err();
        assert!(refused.starts_with("the challenge certificate for bücher.example"), "{refused}");
    }

    #[test]
    fn an_address_is_asked_for_by_its_name_in_the_reverse_zone() {
        assert_eq!(server_name("Box.Example"), "box.example");
        assert_eq!(server_name("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(server_name("2001:db8::1"), v6);
    }

    #[test]
    fn a_challenge_is_found_by_its_whole_token_or_name() {
        let http = ["one", "two"].map(|token| HttpChallenge {
            token: token.to_owned(),
            key_authorization: format!("{token}.key"),
        });
        let alpn = AlpnChallenge::new("Box.example", "x").unwrap();
        let challenges = Challenges { http: http.to_vec(), alpn: vec![alpn] };
        assert_eq!(challenges.key_authorization("two"), Some("two.key"));
        for other in ["", "t", "twoo", "TWO", "two.key"] {
            assert_eq!(challenges.key_authorization(other), None, "{other}");
        }
        assert!(challenges.certificate("bOX.example").is_some());
        assert!(challenges.certificate("x.box.example").is_none());
        assert!(challenges.certificate("").is_none());
    }
}
