//! The TLS configuration (M1-32 to M1-35, M2-24 to M2-27): versions, cipher suites and their order, key
//! exchange. Each connection uses the certificate that is current when it is accepted. While tls-alpn-01
//! challenges are published (RFC 8737), clients that offer `acme-tls/1` get their certificates.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::config::Api;
use crate::gate::connection::cipher_suites;
use crate::security::{Challenges, Identity};
use crate::util::published::Published;

/// TLS 1.2, in the order of M2-26; the ECDSA suites serve an uploaded ECDSA key.
const TLS12: [SupportedCipherSuite; 6] = [
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
];

/// TLS 1.3 suites in the order of M1-33.
const TLS13_V1: [SupportedCipherSuite; 3] = [
    cipher_suites::TLS13_AES_256_GCM_SHA384,
    cipher_suites::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suites::TLS13_AES_128_GCM_SHA256,
];

/// TLS 1.3 suites in the order of M2-25.
const TLS13_V2: [SupportedCipherSuite; 3] = [
    cipher_suites::TLS13_AES_128_GCM_SHA256,
    cipher_suites::TLS13_AES_256_GCM_SHA384,
    cipher_suites::TLS13_CHACHA20_POLY1305_SHA256,
];

/// What other clients than those of tls-alpn-01 may negotiate by ALPN. curl 7.88 to 8.4 offers only http/1.0
/// when it is told to use that.
const HTTP: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// What a certificate authority offers by ALPN to validate a tls-alpn-01 challenge (RFC 8737 section 6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// The TLS configuration of all listeners.
///
/// A configuration has one certificate and its own ticket keys. A resumed session shows no certificate, so
/// with permanent keys a client would not see the new certificate after a change; and a handshake that began
/// before the change must not end with a ticket for the time after it.
pub(crate) struct TlsConfig {
    provider: Arc<CryptoProvider>,
    identity: Arc<Published<Identity>>,
    challenges: Arc<Published<Challenges>>,
    current: Mutex<Current>,
}

/// A configuration and its certificate.
struct Current {
    certificate: Arc<CertifiedKey>,
    config: Arc<ServerConfig>,
    /// The same, with the same ticket keys, while tls-alpn-01 challenges are published.
    validating: Arc<ServerConfig>,
}

impl TlsConfig {
    /// # Errors
    /// Only if the cryptographic library rejects its own suites or has no random bytes.
    pub(crate) fn new(
        api: Api,
        identity: Arc<Published<Identity>>,
        challenges: Arc<Published<Challenges>>,
    ) -> Result<TlsConfig, rustls::Error> {
        let tls13 = if api.v2 { TLS13_V2 } else { TLS13_V1 };
        let provider = Arc::new(CryptoProvider {
            cipher_suites: tls13.into_iter().chain(TLS12).collect(),
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            ..default_provider()
        });
        let certificate = Arc::clone(&identity.snapshot().certified);
        let current = Mutex::new(Current::new(&provider, certificate, &challenges)?);
        Ok(TlsConfig { provider, identity, challenges, current })
    }

    /// The configuration with the current certificate, for a new connection; a change interrupts no other.
    ///
    /// # Errors
    /// As in [`TlsConfig::new`].
    pub(crate) fn current(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that no thread restores an older certificate.
        let certificate = Arc::clone(&self.identity.snapshot().certified);
        if !Arc::ptr_eq(&current.certificate, &certificate) {
            *current = Current::new(&self.provider, certificate, &self.challenges)?;
        }
        let validates = !self.challenges.snapshot().alpn.is_empty();
        Ok(Arc::clone(if validates { &current.validating } else { &current.config }))
    }
}

impl Current {
    fn new(
        provider: &Arc<CryptoProvider>,
        certificate: Arc<CertifiedKey>,
        challenges: &Arc<Published<Challenges>>,
    ) -> Result<Current, rustls::Error> {
        let config = server_config(provider, &certificate)?;
        let mut validating = config.clone();
        validating.alpn_protocols.push(ACME_TLS.to_vec());
        validating.cert_resolver = Arc::new(Validating {
            certificate: Arc::clone(&certificate),
            challenges: Arc::clone(challenges),
        });
        Ok(Current { certificate, config: Arc::new(config), validating: Arc::new(validating) })
    }
}

/// Chooses the certificate of a handshake while challenges are published.
#[derive(Debug)]
struct Validating {
    certificate: Arc<CertifiedKey>,
    challenges: Arc<Published<Challenges>>,
}

impl ResolvesServerCert for Validating {
    /// A client that offers acme-tls/1 and nothing else gets the certificate of the challenge for its server
    /// name (RFC 8737 section 3). Without one, and where it offers acme-tls/1 with something else that is not
    /// HTTP, the handshake ends in an alert.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        if offered == [ACME_TLS] {
            return self.challenges.snapshot().certificate(hello.server_name()?);
        }
        let would_serve =
            !offered.contains(&ACME_TLS) || HTTP.iter().any(|http| offered.contains(http));
        would_serve.then(|| Arc::clone(&self.certificate))
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    certificate: &Arc<CertifiedKey>,
) -> Result<ServerConfig, rustls::Error> {
    let resolver = SingleCertAndKey::from(Arc::clone(certificate));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.ignore_client_order = true;
    config.alpn_protocols = HTTP.map(<[u8]>::to_vec).to_vec();
    // Tickets, whose keys rotate every six hours, instead of a session table in memory.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(config)
}
