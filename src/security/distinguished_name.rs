//! Compares two distinguished names (RFC 5280 section 7.1).
//!
//! Authorities write their own name into their certificate and into those they issue, not always in the
//! same kind of string. As in Chrome and OpenSSL, only values that are not text are compared byte for byte.

use std::borrow::Cow;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{RelativeDistinguishedName, X509Name};

pub(super) fn are_equal(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw()
        || one.iter_rdn().map(parts).collect::<Vec<_>>()
            == other.iter_rdn().map(parts).collect::<Vec<_>>()
}

/// The type of an attribute, and its value in comparable form.
type Part = (Vec<u8>, Value);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    /// The tag's number and the content.
    Other(u32, Vec<u8>),
}

/// Sorted, because their order in DER depends on how they are encoded.
fn parts(name: &RelativeDistinguishedName<'_>) -> Vec<Part> {
    let mut parts: Vec<Part> = name
        .iter()
        .map(|part| (part.attr_type().as_bytes().to_vec(), value(part.attr_value())))
        .collect();
    parts.sort();
    parts
}

/// Ignores case and the number of blanks (RFC 4518 sections 2.2 and 2.6.1).
fn value(value: &Any<'_>) -> Value {
    match text(value) {
        Some(text) => {
            Value::Text(text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        }
        None => Value::Other(value.tag().0, value.data.to_vec()),
    }
}

fn text<'a>(value: &Any<'a>) -> Option<Cow<'a, str>> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            std::str::from_utf8(value.data).ok().map(Cow::Borrowed)
        }
        // Read as Latin-1, as all implementations do, whatever T.61 says.
        Tag::T61String => Some(value.data.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units = value.data.chunks(2).map(|unit| match unit {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0xd800, // half a character, which is invalid
            });
            char::decode_utf16(units).collect::<Result<String, _>>().ok().map(Cow::Owned)
        }
        _ => None,
    }
}
