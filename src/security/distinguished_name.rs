//! Shows a distinguished name, and compares two (RFC 5280 section 7.1).
//!
//! Authorities write their own name into their certificate and into those they issue, not always in the
//! same kind of string. As in Chrome and OpenSSL, only values that are not text are compared byte for byte.

use std::borrow::Cow;

use x509_parser::asn1_rs::{Any, Oid, Tag};
use x509_parser::oid_registry::{
    OID_USERID, OID_X509_BUSINESS_CATEGORY, OID_X509_DN_QUALIFIER, OID_X509_GENERATION_QUALIFIER,
    OID_X509_GIVEN_NAME, OID_X509_INITIALS, OID_X509_POSTAL_CODE, OID_X509_SERIALNUMBER,
    OID_X509_STREET_ADDRESS, OID_X509_SURNAME, OID_X509_TITLE, OidRegistry,
};
use x509_parser::x509::{RelativeDistinguishedName, X509Name};

/// Attributes that names of persons and organizations have (RFC 5280 section 4.1.2.4) besides those that the
/// parser knows by their abbreviations (`CN`, `O`, ...). Its whole registry of OIDs would be 28 kB.
const ATTRIBUTES: [(Oid<'static>, &str); 11] = [
    (OID_USERID, "uid"),
    (OID_X509_SURNAME, "surname"),
    (OID_X509_SERIALNUMBER, "serialNumber"),
    (OID_X509_STREET_ADDRESS, "streetAddress"),
    (OID_X509_TITLE, "title"),
    (OID_X509_BUSINESS_CATEGORY, "businessCategory"),
    (OID_X509_POSTAL_CODE, "postalCode"),
    (OID_X509_GIVEN_NAME, "givenName"),
    (OID_X509_INITIALS, "initials"),
    (OID_X509_GENERATION_QUALIFIER, "generationQualifier"),
    (OID_X509_DN_QUALIFIER, "dnQualifier"),
];

/// As in `C=DE, O=Example, CN=www.example.com`, in the order of the certificate; an attribute without a known
/// name has its OID.
pub(super) fn show(name: &X509Name<'_>) -> String {
    let mut names = OidRegistry::default();
    for (oid, short) in ATTRIBUTES {
        names.insert(oid, (short, short));
    }
    name.to_string_with_registry(&names).unwrap_or_else(|_| "(a name that is not valid)".to_owned())
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use x509_parser::parse_x509_certificate;

    use super::show;

    #[test]
    fn a_name_is_shown_in_its_order_with_short_names_or_oids() {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "Example");
        name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "1234");
        name.push(DnType::CustomDnType(vec![2, 5, 4, 65]), "Nobody");
        name.push(DnType::CommonName, "www.example.com");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = name;
        let made = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = parse_x509_certificate(made.der()).unwrap();
        assert_eq!(
            show(certificate.subject()),
            "O=Example, serialNumber=1234, OID(2.5.4.65)=Nobody, CN=www.example.com"
        );
    }
}
