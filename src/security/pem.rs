//! Reads the blocks of PEM text (RFC 7468) as common tools write it, and writes our own.
//!
//! Windows line ends, byte order marks, text around the blocks ("Bag Attributes") and unused blocks
//! (EC PARAMETERS) are accepted. Out: the meaning of certificates and keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use rustls_pemfile::Item;
use zeroize::{Zeroize, Zeroizing};

use self::markers::{Block, Markers, find, is_blank, is_unseen};

mod markers;
#[cfg(test)]
mod tests;

/// The blocks of one file, in their order.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<Key>,
    pub(super) requests: Vec<CertificateSigningRequestDer<'static>>,
    /// Passphrase-protected keys, PKCS#8's or the older `Proc-Type` kind.
    pub(super) encrypted_keys: usize,
    /// The labels of all other known blocks. PKCS#7 is among them whatever its label.
    pub(super) others: Vec<&'static str>,
}

/// A private key in DER, wiped when dropped.
pub(super) type Key = Zeroizing<PrivateKeyDer<'static>>;

/// Why a file can't be read as PEM.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    Empty,
    /// DER, the binary form.
    Der,
    /// PKCS#7 in DER, certificates without a key.
    Pkcs7,
    /// PKCS#12, certificate and key in one binary file.
    Pkcs12,
    /// UTF-16, which some Windows programs call Unicode.
    Utf16,
    /// PEM blocks and binary data.
    Mixed,
    /// Text or bytes without any block.
    NotPem,
    /// A malformed block; the text says what is wrong and quotes nothing of the file.
    Block(String),
}

pub(super) fn read(bytes: &[u8]) -> Result<Blocks, Error> {
    if is_blank(bytes) {
        return Err(Error::Empty);
    }
    let mut blocks = Blocks::default();
    let mut found = false;
    let mut markers = Markers::of(bytes);
    while let Some(block) = markers.next_block().map_err(Error::Block)? {
        found = true;
        blocks.take(&block).map_err(|NotBase64| {
            let place = markers.place(&block);
            Error::Block(if find(block.content, b"\\n").is_some() {
                format!("the {place} has `\\n` in place of line breaks: write them as such")
            } else {
                format!("the text of the {place} is damaged (not base64)")
            })
        })?;
    }
    match found {
        // The binary data may hold a part of the chain.
        true if bytes.contains(&0) => Err(Error::Mixed),
        true => Ok(blocks),
        false => Err(without_blocks(bytes)),
    }
}

/// The text between two markers is not base64.
struct NotBase64;

impl Blocks {
    fn take(&mut self, block: &Block<'_>) -> Result<(), NotBase64> {
        match block.label {
            Some("ENCRYPTED PRIVATE KEY") => self.encrypted_keys += 1,
            Some("RSA PRIVATE KEY" | "EC PRIVATE KEY") if is_encrypted(block.content) => {
                self.encrypted_keys += 1;
            }
            // OpenSSL's old label.
            Some("CERTIFICATE" | "X509 CERTIFICATE") => {
                self.decode("CERTIFICATE", block.content)?;
            }
            Some(
                label @ ("PRIVATE KEY"
                | "RSA PRIVATE KEY"
                | "EC PRIVATE KEY"
                | "CERTIFICATE REQUEST"),
            ) => self.decode(label, block.content)?,
            other => self.others.extend(other),
        }
        Ok(())
    }

    fn decode(&mut self, label: &str, content: &[u8]) -> Result<(), NotBase64> {
        let content = std::str::from_utf8(content).map_err(|_| NotBase64)?;
        // The full capacity at once: a string that grows leaves unwiped copies behind.
        let mut text = Zeroizing::new(String::with_capacity(content.len() + 128));
        text.extend([BEGIN, label, "-----\n"]);
        text.extend(content.chars().filter(|c| !is_unseen(*c)));
        text.extend(["\n", END, label, "-----\n"]);
        match rustls_pemfile::read_one_from_slice(text.as_bytes()).map_err(|_| NotBase64)? {
            // The label that AD CS gives to PKCS#7.
            Some((Item::X509Certificate(der), _)) if is_pkcs7(&der) => self.others.push("PKCS7"),
            Some((Item::X509Certificate(certificate), _)) => self.certificates.push(certificate),
            Some((Item::Pkcs8Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            Some((Item::Pkcs1Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            Some((Item::Sec1Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            Some((Item::Csr(request), _)) => self.requests.push(request),
            _ => return Err(NotBase64),
        }
        Ok(())
    }
}

/// Writes chain and key as one PEM text, the form of our own files.
pub(super) fn write(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let bytes: usize = chain.iter().map(|der| der.len()).sum::<usize>() + key.secret_der().len();
    // Twice the DER is more than base64 and labels need: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes + 128 * (chain.len() + 1)));
    write_certificates(&mut text, chain);
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    write_block(&mut text, label, key.secret_der());
    text
}

/// Appends a chain, which is public, as PEM.
pub(crate) fn write_certificates(text: &mut String, chain: &[CertificateDer<'_>]) {
    for certificate in chain {
        write_block(text, "CERTIFICATE", certificate);
    }
}

/// Writes a certificate request; with the key it was made for, the form of our own file.
pub(super) fn write_request(request: &[u8], key: Option<&PrivateKeyDer<'_>>) -> Zeroizing<String> {
    let bytes = request.len() + key.map_or(0, |key| key.secret_der().len());
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes + 256));
    write_block(&mut text, "CERTIFICATE REQUEST", request);
    if let Some(key) = key {
        write_block(&mut text, "PRIVATE KEY", key.secret_der());
    }
    text
}

fn write_block(text: &mut String, label: &str, der: &[u8]) {
    text.extend([BEGIN, label, "-----\n"]);
    for line in der.chunks(48) {
        STANDARD.encode_string(line, text); // 48 bytes are 64 characters
        text.push('\n');
    }
    text.extend([END, label, "-----\n"]);
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// RFC 1421 section 4.6.1.1: how OpenSSL marked encrypted keys before PKCS#8.
fn is_encrypted(content: &[u8]) -> bool {
    find(content, b"Proc-Type:").is_some_and(|at| find(&content[at..], b"ENCRYPTED").is_some())
}

fn without_blocks(bytes: &[u8]) -> Error {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'-', 0, ..] | [0, b'-', ..] => Error::Utf16,
        // SEQUENCE { INTEGER 3, …: RFC 7292 section 4.
        [0x30, 0x82, _, _, 2, 1, 3, ..] | [0x30, 0x80, 2, 1, 3, ..] => Error::Pkcs12,
        _ if is_pkcs7(bytes) => Error::Pkcs7,
        [0x30, length, ..] if *length >= 0x80 || bytes.len() == usize::from(*length) + 2 => {
            Error::Der
        }
        _ => Error::NotPem,
    }
}

/// SEQUENCE { OBJECT IDENTIFIER 1.2.840.113549.1.7.2, …: signed data, RFC 2315 sections 7 and 14.
fn is_pkcs7(der: &[u8]) -> bool {
    let content = match der {
        // A length above 127 starts with the number of its bytes (X.690 8.1.3).
        [0x30, length @ 0x80..=0x84, rest @ ..] => rest.get(usize::from(length - 0x80)..),
        [0x30, _, rest @ ..] => Some(rest),
        _ => None,
    };
    let oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    content.is_some_and(|content| content.starts_with(&oid))
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}
