//! A TLS client cheaper than any server: it verifies nothing and reuses one X25519 key.
//!
//! Every connection uses one version, one AES-128-GCM suite and X25519, so that all contenders do the
//! same work. A load generator only, never a model for a client.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup};
use rustls::{SignatureScheme, version};

/// `tls` is 1.2 or 1.3. With `resume`, a configuration remembers the tickets of its connections.
pub(crate) fn config(tls: &str, resume: bool) -> Arc<ClientConfig> {
    let mut provider = default_provider();
    // TLS 1.2 with an ECDSA certificate needs the certificate's curve in this list.
    provider.kx_groups = vec![fixed(), kx_group::SECP256R1];
    let version = if tls == "1.2" {
        provider.cipher_suites = vec![
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ];
        &version::TLS12
    } else {
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
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

#[derive(Debug)]
struct Fixed {
    key: PrivateKey,
    public: Vec<u8>,
}

fn fixed() -> &'static Fixed {
    static FIXED: OnceLock<Fixed> = OnceLock::new();
    FIXED.get_or_init(|| {
        let key = PrivateKey::generate(&X25519).expect("a key");
        let public = key.compute_public_key().expect("its public half").as_ref().to_vec();
        Fixed { key, public }
    })
}

impl SupportedKxGroup for Fixed {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Exchange))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange;

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        agree(&fixed().key, peer, Error::General("key exchange".into()), |secret| {
            Ok(SharedSecret::from(secret))
        })
    }

    fn pub_key(&self) -> &[u8] {
        &fixed().public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
