//! The certificate that an appliance makes for itself at its first start, different on every one.
//!
//! It is a self-signed leaf, so that curl says "self-signed certificate" (M1-8; OpenSSL's
//! error 18). It has no key usage extension on purpose: OpenSSL 1.1.1 does not treat a certificate with
//! key usages but without certificate signing as self-signed, and says "unable to get local issuer
//! certificate" instead.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    RsaKeySize, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use super::addresses::Host;
use super::pem;
use crate::util::utc;

const YEAR: i64 = 31_556_952;
/// Ten years (M1-1).
const VALIDITY: i64 = 10 * YEAR;
/// 2020-01-01, where every default certificate begins. A clock that ran ahead at the first start would
/// otherwise leave a certificate that is not valid yet once the clock is corrected. A clock before this
/// date has never been set.
const NOT_BEFORE: i64 = 1_577_836_800;
/// 2500-01-01. Beyond it the dates would leave the four-digit years of X.509.
const CLOCK_ABSURD_AFTER: i64 = 16_725_225_600;

/// Makes the key and the certificate, which takes up to a second, most of it for the two primes.
///
/// The key is RSA because the suites of M2-26 are RSA. Returns the contents of `tls/default.pem`.
///
/// # Errors
/// When the random source or the cryptographic library fails.
pub(super) fn make(now: SystemTime, host: &Host) -> Result<Zeroizing<String>, String> {
    let failed =
        |error: rcgen::Error| format!("the default certificate could not be made: {error}");
    let mut pair =
        KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed)?;
    let certificate =
        parameters(now, host).and_then(|params| params.self_signed(&pair)).map_err(failed)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    pair.zeroize();
    Ok(pem::write(&[certificate.der().clone()], &Zeroizing::new(key)))
}

fn parameters(now: SystemTime, host: &Host) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let (not_before, not_after) = validity(utc::unix_seconds(now));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(not_before.unsigned_abs());
    params.not_after = epoch + Duration::from_secs(not_after.unsigned_abs());
    params.serial_number = Some(serial_number()?);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host.common_name.as_str());
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in &host.names {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(host.addresses.iter().copied().map(SanType::IpAddress));
    Ok(params)
}

/// Start and end of validity. A virtual machine may boot with a clock that starts at 1970, and the
/// certificate must be valid once the clock is set. Then the end counts from 2020 and is twice as long,
/// because the real time is unknown. The start does not depend on the clock.
fn validity(now: i64) -> (i64, i64) {
    let not_after = if now < NOT_BEFORE {
        NOT_BEFORE + 2 * VALIDITY
    } else {
        now.min(CLOCK_ABSURD_AFTER) + VALIDITY
    };
    (NOT_BEFORE, not_after)
}

/// RFC 5280 section 4.1.2.2: positive, at most 20 octets; 16 random ones are unique.
fn serial_number() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, UNIX_EPOCH};

    use super::super::addresses::Host;
    use super::super::{Source, certificate};
    use super::{make, validity};

    fn host() -> Host {
        Host {
            common_name: "appliance".to_owned(),
            names: vec!["appliance".to_owned(), "localhost".to_owned()],
            addresses: vec!["192.0.2.7".parse().unwrap(), "::1".parse().unwrap()],
        }
    }

    #[test]
    fn it_is_an_rsa_2048_leaf_signed_by_itself_with_the_machines_names() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let text = make(now, &host()).unwrap();
        let summary = certificate::from_file(text.as_bytes(), Source::Default).unwrap().summary;
        assert_eq!(summary.subject, "CN=appliance");
        assert_eq!(summary.issuer, summary.subject);
        assert_eq!(summary.names, ["appliance", "localhost", "192.0.2.7", "::1"]);
        assert_eq!(summary.key_type, "RSA-2048");
        assert_eq!(summary.chain_length, 1);
        assert_eq!(summary.not_before, 1_577_836_800);
        assert_eq!(summary.not_after, 1_800_000_000 + 10 * 31_556_952);
        let other = make(now, &host()).unwrap();
        let other = certificate::from_file(other.as_bytes(), Source::Default).unwrap().summary;
        assert_ne!(other.sha256, summary.sha256);
    }

    #[test]
    fn made_under_a_clock_that_was_never_set_it_is_valid_once_the_clock_is_mended() {
        let (from, until) = validity(12);
        assert!(from <= 1_577_836_800 && until > 1_800_000_000 + 10 * 31_556_952);
    }

    #[test]
    fn made_under_a_clock_that_ran_ahead_it_is_valid_once_the_clock_is_put_right() {
        for ahead in [1_800_000_000 + 3 * 86_400, 4_070_908_800, 1 << 40] {
            let (from, until) = validity(ahead);
            assert!(from < 1_800_000_000 && until > 1_800_000_000 + 10 * 31_556_952, "{ahead}");
        }
    }

    #[test]
    fn an_absurd_clock_still_gives_dates_that_fit_a_certificate() {
        let now = UNIX_EPOCH + Duration::from_secs(1 << 40);
        let text = make(now, &host()).unwrap();
        assert!(certificate::from_file(text.as_bytes(), Source::Default).is_ok());
    }
}
