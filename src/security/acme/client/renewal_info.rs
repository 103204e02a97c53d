//! When an authority wants a certificate to be renewed (ARI, RFC 9773).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::Value;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::dates::rfc3339;
use super::resources::is_https;

/// The time in which to renew, in seconds since 1970 (RFC 9773 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenewalInfo {
    pub(crate) start: i64,
    /// Later than the start.
    pub(crate) end: i64,
    /// A page that says why.
    pub(crate) explanation_url: Option<String>,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
}

impl RenewalInfo {
    pub(super) fn read(
        value: &Value,
        retry_after: Option<Duration>,
    ) -> Result<RenewalInfo, String> {
        let date = |name| value.get("suggestedWindow")?.get(name)?.as_str().and_then(rfc3339);
        let (Some(start), Some(end)) = (date("start"), date("end")) else {
            return Err("has no usable \"suggestedWindow\"".to_owned());
        };
        if end <= start {
            return Err("has a \"suggestedWindow\" that ends before it starts".to_owned());
        }
        let page = value.get("explanationURL").and_then(Value::as_str).filter(|url| is_https(url));
        Ok(RenewalInfo { start, end, explanation_url: page.map(str::to_owned), retry_after })
    }
}

/// How an authority knows a certificate again: the key of its issuer and its serial number (RFC 9773 section
/// 4.1). `None` if the certificate does not name its issuer's key.
pub(crate) fn certificate_id(leaf_der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(leaf_der).ok()?;
    let issuer = certificate.extensions().iter().find_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(issuer) => issuer.key_identifier.as_ref(),
            _ => None,
        }
    })?;
    let serial = certificate.tbs_certificate.raw_serial();
    Some(format!("{}.{}", BASE64URL.encode(issuer.0), BASE64URL.encode(serial)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, CustomExtension, KeyPair, SerialNumber};
    use serde_json::json;

    use super::{RenewalInfo, certificate_id};

    /// The key identifier and the serial number of the example in RFC 9773 section 4.1.
    #[test]
    fn the_id_of_a_certificate_is_that_of_the_rfc() {
        let issuer =
            b"\x69\x88\x5b\x6b\x87\x46\x40\x41\xe1\xb3\x7b\x84\x7b\xa0\xae\x2c\xde\x01\xc8\xd4";
        let mut extension = vec![0x30, 22, 0x80, 20]; // RFC 5280 section 4.2.1.1
        extension.extend(issuer);
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 35], extension)];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let id = certificate_id(certificate.der()).unwrap();
        assert_eq!(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");

        let plain =
            CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(certificate_id(plain.der()), None);
        assert_eq!(certificate_id(b"0"), None);
    }

    #[test]
    fn a_window_that_ends_before_it_starts_is_refused() {
        let window = |start: &str, end: &str| {
            let value = json!({"suggestedWindow": {"start": start, "end": end}});
            RenewalInfo::read(&value, None).map(|info| info.end - info.start)
        };
        assert_eq!(window("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z"), Ok(86_400));
        assert!(window("2025-01-03T04:00:00Z", "2025-01-03T04:00:00Z").is_err());
        assert!(window("2025-01-03T04:00:00Z", "").unwrap_err().contains("no usable"));
    }
}
