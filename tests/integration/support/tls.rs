//! A TLS client that tells what was negotiated and whose certificate was shown.
//!
//! It trusts every certificate and still checks that the server holds the key of the one it shows:
//! a handshake that succeeds proves that the two belong together.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use super::certificates::hexadecimal;

/// What a handshake showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// SHA-256 of the server's own certificate, in hexadecimal.
    pub(crate) fingerprint: String,
    pub(crate) group: Option<NamedGroup>,
}

/// A full handshake (no resumption) with the port on loopback.
pub(crate) fn handshake(port: u16) -> Result<Shown, String> {
    connect(port).map(|(shown, _)| shown)
}

/// A client's end of a TLS connection.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A handshake, and the connection for whatever a test wants to send on it.
pub(crate) fn connect(port: u16) -> Result<(Shown, TlsStream), String> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| format!("connecting: {error}"))?;
    connect_over(socket)
}

/// A handshake over a connection that is there, and the connection.
pub(crate) fn connect_over(mut socket: TcpStream) -> Result<(Shown, TlsStream), String> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
    let client = agree(&mut socket)?;
    let own = client.peer_certificates().and_then(<[_]>::first).ok_or("no certificate shown")?;
    let shown = Shown {
        fingerprint: hexadecimal(own),
        group: client.negotiated_key_exchange_group().map(|group| group.name()),
    };
    Ok((shown, StreamOwned::new(client, socket)))
}

/// Makes a first connection, which gets a ticket and calls `during` in the middle of its handshake, and then a second
/// one with that ticket; whether the second handshake was resumed.
pub(crate) fn is_resumed_after(
    port: u16,
    version: &'static SupportedProtocolVersion,
    during: impl FnOnce(),
) -> bool {
    let mut config = config_of(&[version]);
    config.resumption = Resumption::in_memory_sessions(4);
    let config = Arc::new(config);
    request_on(port, &config, during);
    request_on(port, &config, || ()) == Some(HandshakeKind::Resumed)
}

fn request_on(
    port: u16,
    config: &Arc<ClientConfig>,
    during: impl FnOnce(),
) -> Option<HandshakeKind> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    while client.wants_write() {
        client.write_tls(&mut socket).unwrap();
    }
    // The server has answered when it is our turn again.
    while !client.wants_write() {
        client.read_tls(&mut socket).unwrap();
        client.process_new_packets().unwrap();
    }
    during();
    let request = b"GET /v1/management/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stream.conn.handshake_kind()
}

/// A handshake over whatever carries it.
pub(crate) fn agree(socket: &mut (impl Read + Write)) -> Result<ClientConnection, String> {
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let mut client =
        ClientConnection::new(Arc::new(config()), name).map_err(|error| error.to_string())?;
    while client.is_handshaking() {
        client.complete_io(socket).map_err(|error| format!("handshake: {error}"))?;
    }
    Ok(client)
}

fn config() -> ClientConfig {
    config_of(rustls::DEFAULT_VERSIONS)
}

fn config_of(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, own, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, own, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
