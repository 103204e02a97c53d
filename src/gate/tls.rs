//! TLS as the manuals promise it: versions, suites, order, key exchange; certificates by snapshot.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedCipherSuite};

use crate::config::Api;
use crate::live::Live;
use crate::security::Identity;

/// TLS 1.2, in the order of the v2 manual; ECDSA serves an uploaded ECDSA key, RSA the rest.
const TLS12: [SupportedCipherSuite; 6] = [
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
];

/// TLS 1.3, in the order of the v1 manual.
const TLS13_V1: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
];

/// TLS 1.3, in the order of the v2 manual.
const TLS13_V2: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// The one configuration of every TLS listener. The certificate is looked up in `identity` at each
/// handshake, so a new one serves the next client and cuts nobody.
///
/// # Errors
/// Only if the cryptographic library refuses its own suites or has no random bytes.
pub(crate) fn server_config(
    api: Api,
    identity: Arc<Live<Identity>>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let tls13 = if api.v2 { TLS13_V2 } else { TLS13_V1 };
    let provider = CryptoProvider {
        cipher_suites: tls13.into_iter().chain(TLS12).collect(),
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current(identity)));
    config.ignore_client_order = true;
    // curl 7.88 to 8.4 offers nothing but http/1.0 when it is told to speak that.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    // Tickets whose keys rotate every six hours, instead of a table of sessions kept in memory.
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Gives each handshake the certificate that is in force when its ClientHello arrives.
struct Current(Arc<Live<Identity>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.snapshot().certified))
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}
