//! A scripted authority on loopback: TLS with a root of its own, and an answer to each request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::Server;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// As in `GET /directory`.
    pub(super) line: String,
    /// All fields, in lower case.
    pub(super) fields: String,
    pub(super) body: String,
}

pub(super) struct Authority {
    /// `https://127.0.0.1:port`
    pub(super) base: String,
    pub(super) port: u16,
    /// PEM.
    pub(super) root: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Authority {
    /// `answer` gets its own base URL and the request, and writes what it likes.
    pub(super) fn new(
        answer: impl Fn(&str, &Asked, &mut dyn Write) + Send + Sync + 'static,
    ) -> Authority {
        Authority::with_certificate(|_| (), answer)
    }

    pub(super) fn with_certificate(
        change: impl FnOnce(&mut CertificateParams),
        answer: impl Fn(&str, &Asked, &mut dyn Write) + Send + Sync + 'static,
    ) -> Authority {
        let root = root("root");
        let (certificate, key) = leaf(&root, change);
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let (config, answer) = (Arc::new(config), Arc::new(answer));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let base = format!("https://127.0.0.1:{port}");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own_base, log) = (base.clone(), Arc::clone(&asked));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(session, connection.unwrap());
                let (base, log, answer) = (own_base.clone(), Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || {
                    while let Some(asked) = read(&mut stream) {
                        log.lock().unwrap().push(asked.clone());
                        answer(&base, &asked, &mut stream);
                    }
                });
            }
        });
        Authority { base, port, root: root.0.pem(), asked }
    }

    pub(super) fn directory(&self) -> String {
        format!("{}/directory", self.base)
    }

    pub(super) fn server<'a>(&'a self, directory: &'a str) -> Server<'a> {
        Server { directory, root: Some(&self.root), proxy: None }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

type Root = (rcgen::Certificate, Issuer<'static, KeyPair>);

pub(super) fn root(name: &str) -> Root {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

fn leaf(
    root: &Root,
    change: impl FnOnce(&mut CertificateParams),
) -> (rcgen::Certificate, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &root.1).unwrap();
    (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// One request with its body; `None` at the end of the connection.
fn read(stream: &mut impl Read) -> Option<Asked> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
            let fields = fields.to_ascii_lowercase();
            let length = fields.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let line = line.trim_end_matches(" HTTP/1.1").to_owned();
                return Some(Asked { line, fields, body: body.to_owned() });
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// An answer of HTTP; `fields` end with a line break each.
pub(super) fn http(status: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

/// A proxy that passes tunnels on for `Basic` and these credentials, and otherwise gives `refusal`.
pub(super) fn proxy(
    credentials: &'static str,
    refusal: &'static str,
) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let Some(request) = read(&mut client) else { continue };
            log.lock().unwrap().push(request.clone());
            if !request.fields.contains(&credentials.to_ascii_lowercase()) {
                let _ = client.write_all(http(refusal, "", "no").as_bytes());
                continue;
            }
            let target = request.line.strip_prefix("CONNECT ").unwrap();
            let server = TcpStream::connect(target).unwrap();
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (address, asked)
}
