//! Certificates: requests and grants written as hexadecimal text, to be carried by hand or mail.
//! Their form is in [the specification](super#certificates).

use std::fmt;

use super::fields::INVISIBLE;
use super::hex;
use super::hex::Digest;
use super::key::KeyId;
use super::wire::Sealed;

/// Longest text that is read, in bytes.
pub const LONGEST: usize = 65_536;

/// Why a text is not a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The text is empty.
    Empty,
    /// Larger than [`LONGEST`].
    TooLong,
    /// It contains something other than hexadecimal digits, or its checksum is wrong.
    Damaged,
    /// It is a complete certificate of another kind than expected.
    WrongKind(Kind),
    /// It is complete, but of no kind that this release knows.
    Unknown,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => f.write_str("the certificate is empty"),
            Error::TooLong => write!(f, "the certificate is longer than {LONGEST} bytes"),
            Error::Damaged => f.write_str(
                "the certificate text is damaged: copy all of it again, and nothing else",
            ),
            Error::WrongKind(kind) => write!(f, "this is {kind}"),
            Error::Unknown => f.write_str("this is not a certificate that this release knows"),
        }
    }
}

impl std::error::Error for Error {}

/// The three kinds of certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From the appliance: asks for a license.
    Activation,
    /// From the authority: grants it.
    License,
    /// From the appliance: returns it.
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

/// A complete certificate, not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Asks for a license.
    Activation(Sealed),
    /// Grants a license: the text of the token.
    License(String),
    /// Returns a license.
    Return(Sealed),
}

impl Certificate {
    /// The kind of this certificate.
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

    /// Reads a pasted certificate: white space, lines that begin with `-----` and the case of the digits
    /// don't matter.
    ///
    /// # Errors
    /// Why it is not a certificate.
    pub fn read(text: &str) -> Result<Certificate, Error> {
        let (mark, body) = mark_and_body(text)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.mark()[..] == mark);
        match kind.ok_or(Error::Unknown)? {
            Kind::Activation => sealed(&body).map(Certificate::Activation),
            Kind::Return => sealed(&body).map(Certificate::Return),
            Kind::License => {
                String::from_utf8(body).map(Certificate::License).map_err(|_| Error::Unknown)
            }
        }
    }
}

/// Reads the token of a license certificate.
///
/// # Errors
/// Why the text is not a license certificate.
pub fn read_license(text: &str) -> Result<String, Error> {
    match Certificate::read(text)? {
        Certificate::License(token) => Ok(token),
        other => Err(Error::WrongKind(other.kind())),
    }
}

/// Mark and body of a complete certificate.
fn mark_and_body(text: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    if text.len() > LONGEST {
        return Err(Error::TooLong);
    }
    let digits: String = text
        .replace(INVISIBLE, "")
        .lines()
        .filter(|line| !line.trim_start().starts_with("-----"))
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
        .collect();
    if digits.is_empty() {
        return Err(Error::Empty);
    }
    let bytes = hex::decode(&digits).ok_or(Error::Damaged)?;
    let content = bytes.len().checked_sub(4).ok_or(Error::Damaged)?;
    let (content, checksum) = bytes.split_at(content);
    if Digest::of(content).0[..4] != *checksum {
        return Err(Error::Damaged);
    }
    let (mark, rest) = content.split_at_checked(4).ok_or(Error::Unknown)?;
    let (length, body) = rest.split_first_chunk::<2>().ok_or(Error::Unknown)?;
    if usize::from(u16::from_be_bytes(*length)) != body.len() {
        return Err(Error::Unknown);
    }
    Ok((mark.to_vec(), body.to_vec()))
}

fn sealed(body: &[u8]) -> Result<Sealed, Error> {
    let (kid, rest) = body.split_first_chunk::<{ KeyId::LONGEST }>().ok_or(Error::Unknown)?;
    let (enc, ct) = rest.split_first_chunk::<32>().ok_or(Error::Unknown)?;
    let name = kid.iter().position(|byte| *byte == 0).map_or(&kid[..], |end| &kid[..end]);
    if kid[name.len()..].iter().any(|byte| *byte != 0) {
        return Err(Error::Unknown);
    }
    let kid = std::str::from_utf8(name).ok().and_then(KeyId::parse).ok_or(Error::Unknown)?;
    Ok(Sealed { kid, enc: *enc, ct: ct.to_vec() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Certificate, Error, Kind, LONGEST, read_license};
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
            assert_eq!(read_license(&mangled), Err(Error::Damaged), "{mangled}");
        }
        assert_eq!(read_license(" \n"), Err(Error::Empty));
        assert_eq!(read_license(&"0".repeat(LONGEST + 1)), Err(Error::TooLong));
    }

    #[test]
    fn no_bit_of_a_certificate_can_be_changed() {
        let key = key();
        let bytes = hex::decode(&activation(&key).write().unwrap()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Certificate::read(&hex::encode(&changed)), Err(Error::Damaged));

            // The seal detects a change even if the checksum is corrected.
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
        assert_eq!(read_license(&text), Err(Error::WrongKind(Kind::Activation)));
    }
}
