//! What the API tells about the certificate in use.

use std::net::IpAddr;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::{AcmeRecord, distinguished_name, public_key, warnings};
use crate::util::utc;
use crate::util::words::words;

words! {
    /// The origin of the certificate in use.
    pub(crate) enum Source {
        /// Made by the appliance at its first start.
        Default = "default",
        /// Uploaded by the administrator.
        Uploaded = "uploaded",
    }
}

/// The answer to `GET sslcertificate`; everything here is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Whether it is the default certificate or an uploaded one.
    pub(crate) source: Source,
    /// As in `CN=appliance.example.com, O=Example`.
    pub(crate) subject: String,
    /// The issuer, in the format of the subject.
    pub(crate) issuer: String,
    /// The subject alternative names that are host names or addresses.
    pub(crate) names: Vec<String>,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// The fingerprint, `AA:BB:…` as `openssl x509 -fingerprint -sha256` prints it.
    pub(crate) sha256: String,
    /// Number of certificates presented, including this one.
    pub(crate) chain_length: usize,
    /// As in `RSA-2048`, `ECDSA-P256`, `Ed25519`.
    pub(crate) key_type: String,
    /// Warnings that don't depend on the time.
    lasting: Vec<String>,
}

impl Summary {
    pub(super) fn of(
        source: Source,
        der: &[u8],
        chain: &[X509Certificate<'_>],
        certificate: &X509Certificate<'_>,
    ) -> Summary {
        Summary {
            source,
            subject: distinguished_name::show(certificate.subject()),
            issuer: distinguished_name::show(certificate.issuer()),
            names: names(certificate),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            sha256: fingerprint(der),
            chain_length: chain.len(),
            key_type: public_key::kind(certificate.public_key()).to_string(),
            lasting: warnings::lasting(chain),
        }
    }

    /// The members of `GET sslcertificate` at `now` (seconds since 1970), in their order; with `warnings` if any.
    pub(crate) fn to_json(&self, acme: Option<&AcmeRecord>, now: i64) -> Value {
        let source = match acme {
            Some(acme) if acme.has_issued(self) => "acme",
            _ => self.source.name(),
        };
        let mut members = json!({
            "source": source,
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names,
            "not_before": utc::format(self.not_before),
            "not_after": utc::format(self.not_after),
            "sha256": self.sha256,
            "chain_length": self.chain_length,
            "key_type": self.key_type,
        });
        let warnings = self.warnings_in_force(acme, now);
        if !warnings.is_empty() {
            members["warnings"] = json!(warnings);
        }
        members
    }

    /// Warnings for clients' sake, a sentence each, at `now` (seconds since 1970).
    pub(crate) fn warnings(&self, now: i64) -> Vec<String> {
        let soon_over = warnings::soon_over(self.not_after, now);
        self.lasting.iter().cloned().chain(soon_over).chain(self.outdated()).collect()
    }

    /// As [`Summary::warnings`], for the certificate in force: while `acme` renews it, nobody has to know its end.
    pub(crate) fn warnings_in_force(&self, acme: Option<&AcmeRecord>, now: i64) -> Vec<String> {
        if acme.is_some_and(|acme| acme.renews(self)) {
            self.lasting.clone()
        } else {
            self.warnings(now)
        }
    }

    /// The warning that the machine has other names than when it made its default certificate.
    pub(super) fn outdated(&self) -> Option<String> {
        (self.source == Source::Default).then(|| warnings::outdated(&self.names)).flatten()
    }

    /// The warning that the certificate has no name for `host`, a name or an address that a client used.
    pub(crate) fn elsewhere(&self, host: &str) -> Option<String> {
        warnings::elsewhere(&self.names, host)
    }

    /// What is wrong with the dates at `now` (seconds since 1970), completing "the certificate …".
    pub(crate) fn date_error(&self, now: i64) -> Option<String> {
        let clock = utc::format(now);
        if now < self.not_before {
            let from = utc::format(self.not_before);
            let advice = match self.source {
                // Earlier versions took the date from the clock of the first start.
                Source::Default => {
                    "set the clock if it is wrong; if it is right, it was ahead when the certificate \
                     was made: remove tls/default.pem from the state folder and start the daemon again"
                }
                Source::Uploaded => "set the clock",
            };
            Some(format!("is not valid before {from}, and the clock says {clock}: {advice}"))
        } else if now > self.not_after {
            let until = utc::format(self.not_after);
            Some(format!("expired at {until}, and the clock says {clock}: upload a renewed one"))
        } else {
            None
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    match certificate.subject_alternative_name() {
        Ok(Some(extension)) => hosts(&extension.value.general_names),
        _ => Vec::new(),
    }
}

/// Those names that are host names or addresses.
pub(super) fn hosts(names: &[GeneralName<'_>]) -> Vec<String> {
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// SHA-256 as `AA:BB:…`.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let bytes = Sha256::digest(der);
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
