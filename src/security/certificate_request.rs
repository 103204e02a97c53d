//! A private key made here, and the request for a certificate of it (PKCS#10, RFC 2986).
//!
//! The key never leaves the appliance: it stands beside its request in `tls/request.pem` until a
//! certificate of it is applied. Out: when a request is made or dropped
//! ([`SecuritySettings`](super::SecuritySettings)).

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, KeyPair, RsaKeySize, SignatureAlgorithm};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use zeroize::{Zeroize as _, Zeroizing};

use super::summary::{fingerprint, hosts};
use super::{certificate, distinguished_name, pem, public_key};
pub(crate) use crate::config::KeyType;
use crate::util::utc;

mod wanted;

pub(crate) use wanted::Wanted;

fn generate(key_type: KeyType) -> Result<KeyPair, rcgen::Error> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    let ecdsa = |algorithm: &'static SignatureAlgorithm| KeyPair::generate_for(algorithm);
    match key_type {
        KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyType::P256 => ecdsa(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::P384 => ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384),
    }
}

/// A request whose certificate has not been applied yet, with its private key.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) key: Arc<pem::Key>,
    /// The request in DER.
    pub(super) request: Vec<u8>,
    /// What may be told about it.
    pub(super) public: PublicRequest,
}

/// What the API tells about a request; everything here is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicRequest {
    /// The request in PEM.
    pub(crate) pem: String,
    /// Seconds since 1970; `None` if the file was written by hand.
    pub(crate) created: Option<i64>,
    /// As in `CN=appliance.example.com`.
    pub(crate) subject: String,
    /// The host names and addresses that the certificate shall be for.
    pub(crate) names: Vec<String>,
    /// As in `RSA-2048`.
    pub(crate) key_type: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo in DER), as `AA:BB:…`.
    pub(crate) key_sha256: String,
}

/// Begins the first line of the file, before the time.
const CREATED: &str = "Created: ";

impl PendingRequest {
    /// Makes a key and a request for it, which takes up to some seconds for RSA.
    ///
    /// # Errors
    /// The random source or the cryptographic library fails.
    pub(super) fn make(
        wanted: Wanted,
        now: SystemTime,
    ) -> Result<(PendingRequest, Zeroizing<String>), String> {
        let failed =
            |error: rcgen::Error| format!("the certificate request could not be made: {error}");
        let mut pair = generate(wanted.key_type).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = wanted.subject;
        params.subject_alt_names = wanted.names;
        let request = params.serialize_request(&pair).map_err(failed)?;
        let key =
            Zeroizing::new(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der())));
        pair.zeroize();
        let created = utc::format(utc::unix_seconds(now));
        let blocks = pem::write_request(request.der(), Some(&key));
        let mut text = Zeroizing::new(String::with_capacity(blocks.len() + 64));
        text.extend([CREATED, &created, "\n", &blocks]);
        PendingRequest::from_file(text.as_bytes()).map(|pending| (pending, text))
    }

    /// # Errors
    /// What is wrong with the file.
    pub(super) fn from_file(contents: &[u8]) -> Result<PendingRequest, String> {
        let blocks = pem::read(contents).map_err(|_| "it is not whole PEM".to_owned())?;
        let ([request], [key]) = (blocks.requests.as_slice(), blocks.keys.as_slice()) else {
            return Err("it does not hold one certificate request and its private key".to_owned());
        };
        let Ok(([], parsed)) = X509CertificationRequest::from_der(request) else {
            return Err("its certificate request is damaged".to_owned());
        };
        let info = &parsed.certification_request_info;
        if certificate::public_key_of(key).as_deref() != Some(info.subject_pki.raw) {
            return Err("its private key does not belong to its request".to_owned());
        }
        let names =
            parsed.requested_extensions().into_iter().flatten().find_map(
                |extension| match extension {
                    ParsedExtension::SubjectAlternativeName(names) => {
                        Some(hosts(&names.general_names))
                    }
                    _ => None,
                },
            );
        let first_line = contents.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let created =
            std::str::from_utf8(first_line).ok().and_then(|line| line.strip_prefix(CREATED));
        let public = PublicRequest {
            pem: pem::write_request(request, None).to_string(),
            created: created.and_then(utc::parse),
            subject: distinguished_name::show(&info.subject),
            names: names.unwrap_or_default(),
            key_type: public_key::kind(&info.subject_pki).to_string(),
            key_sha256: fingerprint(info.subject_pki.raw),
        };
        let key = Arc::new(Zeroizing::new(key.clone_key()));
        Ok(PendingRequest { key, request: request.to_vec(), public })
    }

    /// As in "made at 2027-01-31T12:00:00Z".
    pub(super) fn when(&self) -> String {
        self.public
            .created
            .map_or("made by hand".to_owned(), |at| format!("made at {}", utc::format(at)))
    }
}
