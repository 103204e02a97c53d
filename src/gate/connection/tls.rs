//! The TLS configuration (M1-32 to M1-35, M2-24 to M2-27): versions, cipher suites and their order, key exchange. Each connection
//! uses the certificate that is current when it is accepted.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::config::Api;
use crate::security::Identity;
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
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
];

/// TLS 1.3 suites in the order of M2-25.
const TLS13_V2: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// The TLS configuration of all listeners.
///
/// A configuration has one certificate and its own ticket keys. A resumed session shows no certificate, so with
/// permanent keys a client would not see the new certificate after a change; and a handshake that began before the
/// change must not end with a ticket for the time after it.
pub(crate) struct TlsConfig {
    provider: Arc<CryptoProvider>,
    identity: Arc<Published<Identity>>,
    current: Mutex<Current>,
}

/// A configuration and its certificate.
struct Current {
    certificate: Arc<CertifiedKey>,
    config: Arc<ServerConfig>,
}

impl TlsConfig {
    /// # Errors
    /// Only if the cryptographic library rejects its own suites or has no random bytes.
    pub(crate) fn new(
        api: Api,
        identity: Arc<Published<Identity>>,
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
        let config = server_config(&provider, &certificate)?;
        let current = Mutex::new(Current { certificate, config });
        Ok(TlsConfig { provider, identity, current })
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
            let config = server_config(&self.provider, &certificate)?;
            *current = Current { certificate, config };
        }
        Ok(Arc::clone(&current.config))
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    certificate: &Arc<CertifiedKey>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let resolver = SingleCertAndKey::from(Arc::clone(certificate));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.ignore_client_order = true;
    // curl 7.88 to 8.4 offers only http/1.0 when it is told to use that.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    // Tickets, whose keys rotate every six hours, instead of a session table in memory.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
