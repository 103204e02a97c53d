//! Certificates: the same question and the same grant as online, written as hex to be carried by hand.
//!
//! | begins with | is | body |
//! | --- | --- | --- |
//! | `LAC1` | activation certificate, to the authority | sealed request |
//! | `LCC1` | license certificate, to the appliance | `license-cert` token |
//! | `LRC1` | return certificate, to the authority | sealed request |
//!
//! Layout: mark, length of the body (16 bits, big-endian), body, first four bytes of SHA-256 of all that.
//! The checksum is no protection: it tells "mangled in the mail" from "not genuine".
//! A sealed request is `kid` in four bytes (filled with zeros), `enc` in 32, and the ciphertext.

use std::fmt;

use super::hex;
use super::hex::Digest;
use super::key::KeyId;
use super::wire::Sealed;

/// Longest text that is looked at, in bytes.
pub const LONGEST: usize = 65_536;

/// A byte order mark, as Windows puts it before a text, and what mail programs break long words at.
pub(crate) const INVISIBLE: [char; 2] = ['\u{feff}', '\u{200b}'];

/// Why a text is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is in it.
    Empty,
    /// Larger than [`LONGEST`].
    TooLong,
    /// It holds something else than hexadecimal digits, or its checksum is wrong.
    Mangled,
    /// It is whole, and it is another one of the three.
    Other(Kind),
    /// It is whole, and none of the three that this release knows.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Empty => f.write_str("the certificate is empty"),
            Fault::TooLong => write!(f, "the certificate is longer than {LONGEST} bytes"),
            Fault::Mangled => f.write_str(
                "the certificate was mangled on its way: copy all of it again, and nothing else",
            ),
            Fault::Other(kind) => write!(f, "this is {kind}"),
            Fault::Unknown => f.write_str("this is no certificate that this release knows"),
        }
    }
}

impl std::error::Error for Fault {}

/// The three certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From the appliance: asks for a license.
    Activation,
    /// From the authority: grants it.
    License,
    /// From the appliance: gives it back.
    Return,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Activation, Kind::License, Kind::Return];

    fn mark(self) -> &'static [u8; 4] {
        match self {
            Kind::Activation => b"LAC1",
            Kind::License => b"LCC1",
            Kind::Return => b"LRC1",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Activation => "an activation certificate, which is for the vendor",
            Kind::License => "a license certificate, which is for the appliance",
            Kind::Return => "a return certificate, which is for the vendor",
        })
    }
}

/// A certificate that is whole; whether it is genuine is still to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Asks for a license.
    Activation(Sealed),
    /// Grants one: the text of the token.
    License(String),
    /// Gives one back.
    Return(Sealed),
}

impl Certificate {
    /// Which of the three.
    pub fn kind(&self) -> Kind {
        match self {
            Certificate::Activation(_) => Kind::Activation,
            Certificate::License(_) => Kind::License,
            Certificate::Return(_) => Kind::Return,
        }
    }

    /// One line of lower-case hex digits; `None` when the body has more than 65,535 bytes.
    pub fn write(&self) -> Option<String> {
        let body = match self {
            Certificate::Activation(sealed) | Certificate::Return(sealed) => {
                let mut kid = [0; KeyId::LONGEST];
                let name = sealed.kid.as_str().as_bytes();
                kid[..name.len()].copy_from_slice(name);
                [&kid[..], &sealed.enc, &sealed.ct].concat()
            }
            Certificate::License(token) => token.clone().into_bytes(),
        };
        let length = u16::try_from(body.len()).ok()?.to_be_bytes();
        let mut bytes = [&self.kind().mark()[..], &length, &body].concat();
        let checksum = Digest::of(&bytes);
        bytes.extend_from_slice(&checksum.0[..4]);
        Some(hex::encode(&bytes))
    }

    /// Reads a certificate as people paste it: white space, lines that begin with `-----` and the case
    /// of the digits don't matter.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(text: &str) -> Result<Certificate, Fault> {
        let (mark, body) = unwrapped(text)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.mark()[..] == mark);
        match kind.ok_or(Fault::Unknown)? {
            Kind::Activation => sealed(&body).map(Certificate::Activation),
            Kind::Return => sealed(&body).map(Certificate::Return),
            Kind::License => {
                String::from_utf8(body).map(Certificate::License).map_err(|_| Fault::Unknown)
            }
        }
    }
}

/// The token of a license certificate.
///
/// # Errors
/// Why the text is none.
pub fn read_license(text: &str) -> Result<String, Fault> {
    match Certificate::read(text)? {
        Certificate::License(token) => Ok(token),
        other => Err(Fault::Other(other.kind())),
    }
}

/// Mark and body of a whole certificate.
fn unwrapped(text: &str) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    if text.len() > LONGEST {
        return Err(Fault::TooLong);
    }
    let digits: String = text
        .replace(INVISIBLE, "")
        .lines()
        .filter(|line| !line.trim_start().starts_with("-----"))
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    if digits.is_empty() {
        return Err(Fault::Empty);
    }
    let bytes = hex::decode(&digits).ok_or(Fault::Mangled)?;
    let content = bytes.len().checked_sub(4).ok_or(Fault::Mangled)?;
    let (content, checksum) = bytes.split_at(content);
    if Digest::of(content).0[..4] != *checksum {
        return Err(Fault::Mangled);
    }
    let (mark, rest) = content.split_at_checked(4).ok_or(Fault::Unknown)?;
    let (length, body) = rest.split_first_chunk::<2>().ok_or(Fault::Unknown)?;
    if usize::from(u16::from_be_bytes(*length)) != body.len() {
        return Err(Fault::Unknown);
    }
    Ok((mark.to_vec(), body.to_vec()))
}

fn sealed(body: &[u8]) -> Result<Sealed, Fault> {
    let (kid, rest) = body.split_first_chunk::<{ KeyId::LONGEST }>().ok_or(Fault::Unknown)?;
    let (enc, ct) = rest.split_first_chunk::<32>().ok_or(Fault::Unknown)?;
    let name = kid.iter().position(|byte| *byte == 0).map_or(&kid[..], |end| &kid[..end]);
    if kid[name.len()..].iter().any(|byte| *byte != 0) {
        return Err(Fault::Unknown);
    }
    let kid = std::str::from_utf8(name).ok().and_then(KeyId::parse).ok_or(Fault::Unknown)?;
    Ok(Sealed { kid, enc: *enc, ct: ct.to_vec() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Certificate, Fault, Kind, LONGEST, read_license};
    use crate::license::protocol::hex;
    use crate::license::protocol::key::{KeyId, RequestKey, SigningKey};
    use crate::license::protocol::message::Op;
    use crate::license::protocol::wire::tests::request;
    use crate::license::protocol::wire::{open_certificate, seal_to};

    fn activation(key: &RequestKey) -> Certificate {
        let device = SigningKey::generate().unwrap();
        let sent = seal_to(&request(Op::Activate), &key.public().unwrap(), &device).unwrap();
        Certificate::Activation(sent.sealed)
    }

    fn key() -> RequestKey {
        RequestKey::generate(KeyId::parse("k1").unwrap()).unwrap()
    }

    #[test]
    fn certificates_are_read_as_they_were_written() {
        let key = key();
        let activation = activation(&key);
        let Certificate::Activation(sealed) = activation.clone() else { unreachable!() };
        let license = Certificate::License("i1.e30.e30".to_owned());
        for certificate in [activation, Certificate::Return(sealed.clone()), license] {
            let text = certificate.write().unwrap();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(Certificate::read(&text), Ok(certificate));
        }
        let opened = open_certificate(&sealed, &[key]).unwrap();
        assert_eq!(opened.request, request(Op::Activate));
    }

    #[test]
    fn what_mail_does_to_lines_does_no_harm_and_quoting_is_told() {
        let text = Certificate::License("i1.e30.e30".to_owned()).write().unwrap();
        let (a, b) = text.split_at(20);
        for fine in [
            format!("{a}\r\n{b}\n"),
            format!("  {a} \t{b} "),
            text.to_uppercase(),
            format!(
                "-----BEGIN LICENSE CERTIFICATE-----\n{a}\n{b}\n-----END LICENSE CERTIFICATE-----\n"
            ),
            format!("\u{feff}-----BEGIN LICENSE CERTIFICATE-----\r\n{a}\u{200b}{b}\r\n"),
        ] {
            assert_eq!(read_license(&fine).as_deref(), Ok("i1.e30.e30"), "{fine}");
        }
        for mangled in [format!("> {a}\n> {b}"), a.to_owned(), b.to_owned(), format!("{text}00")] {
            assert_eq!(read_license(&mangled), Err(Fault::Mangled), "{mangled}");
        }
        assert_eq!(read_license(" \n"), Err(Fault::Empty));
        assert_eq!(read_license(&"0".repeat(LONGEST + 1)), Err(Fault::TooLong));
    }

    #[test]
    fn no_bit_of_a_certificate_can_be_changed() {
        let key = key();
        let bytes = hex::decode(&activation(&key).write().unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Certificate::read(&hex::encode(&changed)), Err(Fault::Mangled));

            // Somebody who mends the checksum is found out by the seal.
            let content = changed.len() - 4;
            let checksum = super::Digest::of(&changed[..content]);
            changed[content..].copy_from_slice(&checksum.0[..4]);
            let opened = match Certificate::read(&hex::encode(&changed)) {
                Ok(Certificate::Activation(sealed)) if bit / 8 < content => {
                    open_certificate(&sealed, std::slice::from_ref(&key)).is_ok()
                }
                _ => false,
            };
            assert!(!opened, "bit {bit}");
        }
    }

    #[test]
    fn one_certificate_is_not_taken_for_another() {
        let text = activation(&key()).write().unwrap();
        assert_eq!(read_license(&text), Err(Fault::Other(Kind::Activation)));
    }
}
