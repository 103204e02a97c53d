//! PEM text (RFC 7468) as people's tools write it: which blocks a file holds, and writing our own.
//!
//! Windows line ends, a byte order mark, text around the blocks ("Bag Attributes") and blocks
//! that don't concern us (EC PARAMETERS) are fine. Out: what certificates and keys mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls_pemfile::Item;
use zeroize::{Zeroize, Zeroizing};

/// The blocks of one file, in their order.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<Key>,
    /// Keys under a passphrase, PKCS#8's or the older `Proc-Type` kind.
    pub(super) encrypted_keys: usize,
    /// The labels of all others.
    pub(super) others: Vec<String>,
}

/// A private key in DER, wiped when dropped.
pub(super) type Key = Zeroizing<PrivateKeyDer<'static>>;

/// Why a file can't be read as PEM at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Empty,
    /// DER, the same content without the text armour.
    Der,
    /// PKCS#12, certificate and key in one binary file.
    Pkcs12,
    /// What some Windows programs call Unicode.
    Utf16,
    /// Text or bytes without any block.
    NotPem,
    /// A block starts well and goes wrong: what is wrong.
    Block(String),
}

pub(super) fn read(bytes: &[u8]) -> Result<Blocks, Broken> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Broken::Empty);
    }
    let mut blocks = Blocks::default();
    let mut found = false;
    let mut rest = bytes;
    while let Some(section) = next_section(rest)? {
        found = true;
        blocks.take(&section.label, section.block)?;
        rest = section.after;
    }
    if found { Ok(blocks) } else { Err(without_blocks(bytes)) }
}

impl Blocks {
    fn take(&mut self, label: &str, block: &[u8]) -> Result<(), Broken> {
        if label == "ENCRYPTED PRIVATE KEY" || is_encrypted(block) {
            self.encrypted_keys += 1;
            return Ok(());
        }
        let damaged =
            || Broken::Block(format!("the text of its {label} block is damaged (not base64)"));
        match rustls_pemfile::read_one_from_slice(block).map_err(|_| damaged())? {
            Some((Item::X509Certificate(certificate), _)) => self.certificates.push(certificate),
            Some((Item::Pkcs8Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            Some((Item::Pkcs1Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            Some((Item::Sec1Key(key), _)) => self.keys.push(Zeroizing::new(key.into())),
            _ => self.others.push(label.to_owned()),
        }
        Ok(())
    }
}

/// Chain and key as one PEM text, the form our own files have.
pub(super) fn write(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let bytes: usize = chain.iter().map(|der| der.len()).sum::<usize>() + key.secret_der().len();
    // Twice the DER is more than base64 and labels need: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes + 128 * (chain.len() + 1)));
    for certificate in chain {
        write_block(&mut text, "CERTIFICATE", certificate);
    }
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    write_block(&mut text, label, key.secret_der());
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

/// One block from its BEGIN line to its END line, and what follows it.
struct Section<'a> {
    label: String,
    block: &'a [u8],
    after: &'a [u8],
}

fn next_section(bytes: &[u8]) -> Result<Option<Section<'_>>, Broken> {
    let Some((start, after_begin, label)) = marker(bytes, 0, BEGIN) else { return Ok(None) };
    let unfinished = || {
        Broken::Block(format!("its {label} block has no END line, so the file may be cut short"))
    };
    let (end_start, end, end_label) = marker(bytes, after_begin, END).ok_or_else(unfinished)?;
    let another = marker(bytes, after_begin, BEGIN).is_some_and(|(begin, ..)| begin < end_start);
    if another || end_label != label {
        return Err(unfinished());
    }
    Ok(Some(Section { label, block: &bytes[start..end], after: &bytes[end..] }))
}

/// The first line at or after `from` that starts with `marker`: where it starts, where it ends, and
/// the label it carries.
fn marker(bytes: &[u8], from: usize, marker: &str) -> Option<(usize, usize, String)> {
    let mut start = from;
    for line in bytes[from..].split(|byte| *byte == b'\n' || *byte == b'\r') {
        let label = line.trim_ascii_end().strip_prefix(marker.as_bytes());
        if let Some(label) = label.and_then(|label| label.strip_suffix(b"-----")) {
            let label = String::from_utf8_lossy(label).into_owned();
            return Some((start, start + line.len(), label));
        }
        start += line.len() + 1;
    }
    None
}

/// RFC 1421 section 4.6.1.1: how OpenSSL marked encrypted keys before PKCS#8.
fn is_encrypted(block: &[u8]) -> bool {
    block.split(|byte| *byte == b'\n' || *byte == b'\r').any(|line| {
        line.strip_prefix(b"Proc-Type:")
            .is_some_and(|kind| kind.windows(9).any(|word| word == b"ENCRYPTED"))
    })
}

fn without_blocks(bytes: &[u8]) -> Broken {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'-', 0, ..] | [0, b'-', ..] => Broken::Utf16,
        // SEQUENCE { INTEGER 3, …: RFC 7292 section 4.
        [0x30, 0x82, _, _, 2, 1, 3, ..] | [0x30, 0x80, 2, 1, 3, ..] => Broken::Pkcs12,
        [0x30, length, ..] if *length >= 0x80 || bytes.len() == usize::from(*length) + 2 => {
            Broken::Der
        }
        _ => Broken::NotPem,
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Broken, read};

    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

    fn broken(text: &[u8]) -> Broken {
        read(text).err().unwrap()
    }

    #[test]
    fn text_around_blocks_line_ends_and_unknown_blocks_are_fine() {
        let parameters = "-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n";
        let text = format!("\u{feff}Bag Attributes\n  x: 1\n{parameters}{BLOCK}\ntext\n{BLOCK}");
        for ends in ["\n", "\r\n", "\r"] {
            let blocks = read(text.replace('\n', ends).as_bytes()).unwrap();
            assert_eq!(blocks.certificates.len(), 2);
            assert_eq!(blocks.certificates[0].as_ref(), [1, 2, 3]);
            assert_eq!(blocks.others, ["EC PARAMETERS"]);
        }
        assert_eq!(read(BLOCK.trim_end().as_bytes()).unwrap().certificates.len(), 1);
    }

    #[test]
    fn a_file_without_blocks_is_told_by_what_it_is() {
        assert_eq!(broken(b""), Broken::Empty);
        assert_eq!(broken(b" \r\n"), Broken::Empty);
        assert_eq!(broken(b"hello"), Broken::NotPem);
        assert_eq!(broken(&[0x30, 0x82, 1, 2, 0x30, 0x82]), Broken::Der);
        assert_eq!(broken(&[0x30, 3, 2, 1, 0]), Broken::Der);
        assert_eq!(broken(b"0 is no DER"), Broken::NotPem);
        assert_eq!(broken(&[0x30, 0x82, 1, 2, 2, 1, 3, 0x30]), Broken::Pkcs12);
        assert_eq!(broken(&[0xff, 0xfe, b'-', 0]), Broken::Utf16);
    }

    #[test]
    fn a_block_that_goes_wrong_is_named() {
        let cut = BLOCK.replace("-----END CERTIFICATE-----", "");
        for text in [cut.clone(), cut + BLOCK, BLOCK.replace("END CERT", "END OTHER CERT")] {
            assert!(
                matches!(broken(text.as_bytes()), Broken::Block(why) if why.contains("no END"))
            );
        }
        let damaged = BLOCK.replace("AQID", "AQ!D");
        assert!(
            matches!(broken(damaged.as_bytes()), Broken::Block(why) if why.contains("damaged"))
        );
    }

    #[test]
    fn keys_under_a_passphrase_are_counted_not_read() {
        let old = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\
                   DEK-Info: AES-256-CBC,00\r\n\r\nAQID\r\n-----END RSA PRIVATE KEY-----\r\n";
        let new =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----";
        let blocks = read(format!("{old}{new}").as_bytes()).unwrap();
        assert_eq!((blocks.encrypted_keys, blocks.keys.len()), (2, 0));
    }
}
