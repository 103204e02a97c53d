//! Warnings about a certificate that is valid but will cause trouble.
//!
//! In: the certificates of an accepted chain. Out: sentences for the administrator, each with the affected
//! clients and what to do. `certificate` rejects what is invalid.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Oid, oid};

use super::addresses::Host;
use super::distinguished_name;
use super::public_key::{self, Kind};
use crate::util::utc;

/// Seconds before the end at which public certificate authorities advise to renew.
const SOON: i64 = 30 * 24 * 60 * 60;

/// RFC 8017 and RFC 5758: sha1WithRSAEncryption, ecdsa-with-SHA1.
const SHA1: [Oid<'static>; 2] = [oid!(1.2.840.113549.1.1.5), oid!(1.2.840.10045.4.1)];

/// Warnings that don't depend on the time; `chain` begins with the appliance's own certificate.
pub(super) fn lasting(chain: &[X509Certificate<'_>]) -> Vec<String> {
    let Some(own) = chain.first() else { return Vec::new() };
    let mut warnings = Vec::new();
    if public_key::kind(own.public_key()) == Kind::Ed25519 {
        warnings.push(
            "the key is Ed25519, which no browser supports: for the management page use a certificate \
             with an RSA or ECDSA key"
                .to_owned(),
        );
    }
    if !matches!(own.subject_alternative_name(), Ok(Some(_))) {
        warnings.push(
            "the certificate has no subjectAltName, so browsers and most other clients trust it for no \
             name at all: have it issued again with the appliance's names and addresses in it"
                .to_owned(),
        );
    }
    if !may_serve(own) {
        warnings.push(
            "the certificate's extendedKeyUsage lacks serverAuth, so browsers and most other clients \
             refuse it for a server: have it issued again with serverAuth"
                .to_owned(),
        );
    }
    if own.is_ca() {
        warnings.push(
            "the certificate is that of a certificate authority (CA:TRUE), which some clients, Firefox \
             for one, refuse for a server: use one with basicConstraints CA:FALSE"
                .to_owned(),
        );
    }
    let is_root = |one: &X509Certificate<'_>| one.issuer().as_raw() == one.subject().as_raw();
    // Clients don't check the signature of a root.
    let sha1 = |one: &&X509Certificate<'_>| {
        !is_root(one) && SHA1.contains(&one.signature_algorithm.algorithm)
    };
    if let Some(signed) = chain.iter().find(sha1) {
        warnings.push(format!(
            "{} is signed with SHA-1, which browsers and current TLS libraries refuse: have it issued \
             again with SHA-256",
            distinguished_name::show(signed.subject())
        ));
    }
    if chain.len() == 1 && !is_root(own) {
        warnings.push(format!(
            "the certificate of its issuer, {}, is not in the file: unless that is a root which clients \
             trust, curl, Java and others refuse the appliance; append it to certfile, after your \
             certificate",
            distinguished_name::show(own.issuer())
        ));
    }
    warnings
}

/// Whether the certificate may be used by a server; no extension means any use (RFC 5280 section 4.2.1.12).
fn may_serve(own: &X509Certificate<'_>) -> bool {
    match own.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth || usage.value.any,
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The warning that the end is near, at `now`; both in seconds since 1970. An end that has passed is an error.
pub(super) fn soon_over(not_after: i64, now: i64) -> Option<String> {
    let left = not_after - now;
    (0..SOON).contains(&left).then(|| {
        format!(
            "the certificate ends at {}, in less than 30 days: upload a renewed one before",
            utc::format(not_after)
        )
    })
}

/// The warning that the machine has names or addresses that its default certificate, for `names`, was not made
/// for: the machine was renamed since, or got its address later than its certificate.
pub(super) fn outdated(names: &[String]) -> Option<String> {
    let host = Host::detect();
    let now = host.names.into_iter().chain(host.addresses.iter().map(IpAddr::to_string));
    let missing: Vec<String> = now.filter(|name| !names.contains(name)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "the default certificate was made before this machine had {}, so clients that check it refuse \
             that; make it anew with POST sslcertificate/default, and clients that trust the old one must \
             trust the new one",
            missing.join(", ")
        )
    })
}

/// The warning that a certificate with `names` is not valid for `host`. A name that begins with `*.` stands
/// for one label (RFC 6125 section 6.4.3).
pub(super) fn elsewhere(names: &[String], host: &str) -> Option<String> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let fits = |name: &String| {
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").is_some_and(|parent| {
                host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
            })
    };
    (!names.is_empty() && !names.iter().any(fits)).then(|| {
        format!(
            "the certificate is not valid for {host}, the name used for this upload: clients that use \
             that name refuse it; it is valid for {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{SOON, elsewhere, soon_over};

    #[test]
    fn a_host_fits_a_name_an_address_and_one_label_of_a_wildcard() {
        let names = ["Box.example", "192.0.2.7", "::1", "*.lan"].map(str::to_owned);
        for host in ["box.example", "192.0.2.7", "[::1]", "a.LAN", "box.example."] {
            assert_eq!(elsewhere(&names, host), None, "{host}");
        }
        for host in ["example", "192.0.2.8", "[::2]", "lan", "a.b.lan"] {
            assert!(elsewhere(&names, host).is_some(), "{host}");
        }
        assert_eq!(elsewhere(&[], "box"), None); // told already: it is for no name at all
    }

    #[test]
    fn an_end_within_thirty_days_is_soon_and_one_that_has_passed_is_not() {
        assert!(soon_over(SOON, 1).is_some());
        assert!(soon_over(SOON, SOON).is_some());
        assert_eq!(soon_over(SOON, 0), None);
        assert_eq!(soon_over(0, 1), None);
    }
}
