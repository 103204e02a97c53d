//! The certificates of a file, parsed, and whether each was issued by the next.
//!
//! Out: whether clients trust the chain, which depends on their roots. Signatures are not verified: names
//! and key identifiers find every mistake in assembling a file.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::distinguished_name;
use crate::util::utc;

/// Most certificates of a chain; clients receive it in every handshake, and real ones have two to four.
const MOST_CERTIFICATES: usize = 16;

/// A chain of at least one certificate, the appliance's own first.
pub(super) struct Chain<'a>(Vec<X509Certificate<'a>>);

impl<'a> Chain<'a> {
    /// # Errors
    /// Which certificate is damaged or repeated.
    pub(super) fn parse(file: &str, ders: &'a [CertificateDer<'_>]) -> Result<Chain<'a>, String> {
        if ders.len() > MOST_CERTIFICATES {
            return Err(format!(
                "{file} holds {} certificates, and a chain has at most {MOST_CERTIFICATES}: leave \
                 out those that don't belong to yours",
                ders.len()
            ));
        }
        let mut certificates = Vec::with_capacity(ders.len());
        for (index, der) in ders.iter().enumerate() {
            match X509Certificate::from_der(der) {
                Ok(([], certificate)) => certificates.push(certificate),
                _ => {
                    return Err(format!(
                        "certificate {} in {file} is damaged: export it again and check it with \
                         `openssl x509 -in FILE -noout -text`",
                        index + 1
                    ));
                }
            }
        }
        let chain = Chain(certificates);
        for (index, der) in ders.iter().enumerate() {
            if let Some(first) = ders[..index].iter().position(|earlier| earlier == der) {
                return Err(format!(
                    "{} in {file} is the same as certificate {}: leave one of them out",
                    chain.name(index),
                    first + 1
                ));
            }
        }
        Ok(chain)
    }

    pub(super) fn certificates(&self) -> &[X509Certificate<'a>] {
        &self.0
    }

    /// As in `certificate 2 (CN=Example CA)`.
    pub(super) fn name(&self, index: usize) -> String {
        match self.0.get(index).map(|certificate| distinguished_name::show(certificate.subject())) {
            Some(subject) if !subject.is_empty() => {
                format!("certificate {} ({subject})", index + 1)
            }
            _ => format!("certificate {}", index + 1),
        }
    }

    /// Checks that each certificate was issued by the next; a root at the end is fine.
    ///
    /// # Errors
    /// The first certificate out of order, and the right order as far as it is known.
    pub(super) fn check_order(&self, file: &str) -> Result<(), String> {
        let issued = |pair: &[X509Certificate<'_>]| Link::between(&pair[0], &pair[1]);
        for (index, link) in self.0.windows(2).map(issued).enumerate() {
            let (this, next) = (self.name(index), self.name(index + 1));
            let issuer = distinguished_name::show(self.0[index].issuer());
            match link {
                Link::Issued => {}
                Link::OtherKey => {
                    return Err(format!(
                        "{next} in {file} has the name of the issuer of {this}, but another key: \
                         ask your certificate authority for the one that issued it"
                    ));
                }
                Link::Unrelated => {
                    let order = self.order_from(0);
                    let advice = if order.len() == self.0.len() {
                        format!("the right order is {}", self.listed(&order))
                    } else if order.len() > index + 1 {
                        format!(
                            "those that belong together are, in order, {}; leave out the others",
                            self.listed(&order)
                        )
                    } else {
                        format!("leave {next} out, or put the certificate of that issuer before it")
                    };
                    return Err(format!(
                        "the chain in {file} is out of order: {next} did not issue {this}, whose \
                         issuer is {issuer}; {advice}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The order that starts at `start` and follows each issuer to the end.
    pub(super) fn order_from(&self, start: usize) -> Vec<usize> {
        let mut order = vec![start];
        let mut last = start;
        while let Some(next) = (0..self.0.len()).find(|next| {
            !order.contains(next) && Link::between(&self.0[last], &self.0[*next]) == Link::Issued
        }) {
            order.push(next);
            last = next;
        }
        order
    }

    /// Positions counted from 1, as in `1, 3, 2`.
    pub(super) fn listed(&self, order: &[usize]) -> String {
        order.iter().map(|index| (index + 1).to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Checks every certificate against the clock, in seconds since 1970.
    ///
    /// # Errors
    /// Which one is not valid, its date, and what the clock says.
    pub(super) fn check_dates(&self, file: &str, now: i64) -> Result<(), String> {
        let clock = utc::format(now);
        for (index, certificate) in self.0.iter().enumerate() {
            let name = self.name(index);
            let validity = certificate.validity();
            let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
            if now < from {
                return Err(format!(
                    "{name} in {file} is not valid before {}, and the appliance's clock says \
                     {clock}: set the clock if it is wrong, otherwise use the certificate later",
                    utc::format(from)
                ));
            }
            if now > until {
                return Err(format!(
                    "{name} in {file} expired at {}, and the appliance's clock says {clock}: {}, or \
                     set the clock if it is wrong",
                    utc::format(until),
                    self.instead_of_expired(index)
                ));
            }
        }
        Ok(())
    }

    /// What to do about an expired certificate. The administrator can renew only the first. Clients don't need
    /// a root, nor usually an old signature of a newer root; they do need the issuer of the first certificate.
    fn instead_of_expired(&self, index: usize) -> String {
        let one = &self.0[index];
        if index == 0 {
            return "renew the certificate".to_owned();
        }
        let last = self.0.len();
        let out = if index + 1 == last {
            format!("leave certificate {last} out")
        } else {
            format!("leave certificates {} to {last} out", index + 1)
        };
        let replaced = "the one that replaced it, from your certificate authority";
        match (distinguished_name::are_equal(one.subject(), one.issuer()), index) {
            (true, _) => out,
            (false, 1) => format!("put {replaced}, in its place"),
            (false, _) => format!("{out}, or put {replaced}, in its place"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Link {
    Issued,
    /// The names match, but the key identifiers (RFC 5280 sections 4.2.1.1 and 4.2.1.2) don't: typically
    /// an older or newer certificate of the same authority.
    OtherKey,
    Unrelated,
}

impl Link {
    fn between(issued: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Link {
        if !distinguished_name::are_equal(issued.issuer(), issuer.subject()) {
            return Link::Unrelated;
        }
        match (authority_key(issued), subject_key(issuer)) {
            (Some(wanted), Some(found)) if wanted != found => Link::OtherKey,
            _ => Link::Issued,
        }
    }
}

fn authority_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|key| key.0)
        }
        _ => None,
    })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}
