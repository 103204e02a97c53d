//! The TLS configuration (M1-32 to M1-35, M2-24 to M2-27): versions, cipher suites and their order, key exchange. Each handshake uses
//! the current certificate.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider, kx_group};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
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

/// The configuration of all TLS listeners. Each handshake looks the certificate up in `identity`, so a new one
/// applies to the next client and interrupts no connection.
///
/// # Errors
/// Only if the cryptographic library rejects its own suites or has no random bytes.
pub(crate) fn server_config(
    api: Api,
    identity: Arc<Published<Identity>>,
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
        .with_cert_resolver(Arc::new(CurrentCertificate(Arc::clone(&identity))));
    config.ignore_client_order = true;
    // curl 7.88 to 8.4 offers only http/1.0 when it is told to use that.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    // Tickets, whose keys rotate every six hours, instead of a session table in memory.
    config.ticketer = Arc::new(Tickets::new(identity)?);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Gives each handshake the certificate that is current when its ClientHello arrives.
struct CurrentCertificate(Arc<Published<Identity>>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.snapshot().certified))
    }
}

impl std::fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CurrentCertificate")
    }
}

/// Ticket keys that are replaced with the certificate. A resumed session shows no certificate, so with permanent
/// keys a client would not see the new one after a change.
struct Tickets {
    identity: Arc<Published<Identity>>,
    current: Mutex<TicketKeys>,
}

/// Ticket keys, and the certificate that was current when they were made.
struct TicketKeys {
    certificate: Arc<CertifiedKey>,
    keys: Arc<dyn ProducesTickets>,
}

impl Tickets {
    fn new(identity: Arc<Published<Identity>>) -> Result<Self, rustls::Error> {
        let certificate = Arc::clone(&identity.snapshot().certified);
        let current = TicketKeys { certificate, keys: Ticketer::new()? };
        Ok(Self { identity, current: Mutex::new(current) })
    }

    /// The current keys; `None` when there are no random bytes for new ones, and the handshake gets no ticket.
    fn keys(&self) -> Option<Arc<dyn ProducesTickets>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that no thread restores the keys of an older certificate.
        let certificate = Arc::clone(&self.identity.snapshot().certified);
        if !Arc::ptr_eq(&current.certificate, &certificate) {
            *current = TicketKeys { certificate, keys: Ticketer::new().ok()? };
        }
        Some(Arc::clone(&current.keys))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.keys().map_or(0, |keys| keys.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys()?.decrypt(cipher)
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}
