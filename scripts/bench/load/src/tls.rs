//! A TLS client cheaper than any server: it verifies nothing and reuses one key.
//!
//! Every connection uses one version, one suite and one key exchange, so that all contenders do the same
//! work. A load generator only, never a model for a client.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error};
use rustls::{SignatureScheme, version};

use crate::arguments::Arguments;
use crate::kx;

/// By `--tls` 1.2 or 1.3, `--suite` aes128, aes256 or chacha20 (1.3 only) and `--group` x25519 or
/// x25519mlkem768 (1.3 only). With `resume`, a configuration remembers the tickets of its connections.
pub(crate) fn config(arguments: &Arguments, resume: bool) -> Arc<ClientConfig> {
    let mut provider = default_provider();
    let group = arguments.text("group", "x25519");
    provider.kx_groups = vec![kx::fixed(group)];
    let version = if arguments.text("tls", "1.3") == "1.2" {
        // An ECDSA certificate needs its curve in this list.
        provider.kx_groups.push(kx_group::SECP256R1);
        provider.cipher_suites = vec![
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ];
        &version::TLS12
    } else {
        provider.cipher_suites = vec![match arguments.text("suite", "aes128") {
            "aes128" => cipher_suite::TLS13_AES_128_GCM_SHA256,
            "aes256" => cipher_suite::TLS13_AES_256_GCM_SHA384,
            "chacha20" => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            other => panic!("--suite can't be {other}"),
        }];
        &version::TLS13
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("the suites fit the version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoVerify))
        .with_no_client_auth();
    config.resumption =
        if resume { Resumption::in_memory_sessions(16) } else { Resumption::disabled() };
    Arc::new(config)
}

pub(crate) fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("bench.test").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(config), name).expect("a client");
    client.set_buffer_limit(None);
    client
}

#[derive(Debug)]
struct NoVerify;

impl ServerCertVerifier for NoVerify {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]
    }
}
