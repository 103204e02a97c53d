//! Turns uploaded files, or our own file, into an [`Identity`] whose key matches and can sign.
//!
//! Every error is a sentence for the administrator: what is wrong with which file, and the command that
//! repairs it. Nothing of a key's content is ever quoted.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use zeroize::Zeroizing;

use super::chain::Chain;
use super::pem::{self, Blocks, Error};
use super::public_key::{self, SUPPORTED};
use super::{Identity, Source, Summary};

#[cfg(test)]
pub(super) mod tests;

/// Checks an upload; `now` is the appliance's clock in seconds since 1970.
///
/// Also returns the text for `tls/uploaded.pem`, chain and key in one, without anything else the files
/// held.
pub(super) fn from_upload(
    keyfile: &[u8],
    certfile: &[u8],
    now: i64,
) -> Result<(Identity, Zeroizing<String>), String> {
    let chain = Part::Chain.read(certfile)?;
    let keys = Part::Key.read(keyfile)?;
    let has_key = |blocks: &Blocks| !blocks.keys.is_empty() || blocks.encrypted_keys > 0;
    if chain.certificates.is_empty() && has_key(&chain) && !keys.certificates.is_empty() {
        return Err("the two files are swapped: the private key belongs into keyfile, the \
                    certificate into certfile"
            .to_owned());
    }
    check_certificates(&chain)?;
    let key = only_key(&keys, UPLOAD)?;
    let identity = check(&chain.certificates, key, Source::Uploaded, UPLOAD, Some(now))?;
    let text = pem::write(&chain.certificates, key);
    Ok((identity, text))
}

/// Checks an upload without a keyfile. The key is in `certfile` too, or it is the first of `keys` that the
/// certificate was made for. Otherwise as [`from_upload`].
///
/// # Errors
/// What is wrong and what to do; if no key fits, which key the certificate was made for.
pub(super) fn for_own_key(
    certfile: &[u8],
    keys: &[OwnKey<'_>],
    now: i64,
) -> Result<(Identity, Zeroizing<String>), String> {
    let blocks = Part::Chain.read(certfile)?;
    check_certificates(&blocks)?;
    let chain = Chain::parse(UPLOAD.chain, &blocks.certificates)?;
    let key = if blocks.keys.is_empty() && blocks.encrypted_keys == 0 {
        find_own_key(&chain, keys)?
    } else {
        only_key(&blocks, Files { key: "certfile", ..UPLOAD })?
    };
    let identity = check(&blocks.certificates, key, Source::Uploaded, UPLOAD, Some(now))?;
    let text = pem::write(&blocks.certificates, key);
    Ok((identity, text))
}

/// Checks a chain that an authority has issued for `own`; otherwise as [`from_upload`].
pub(super) fn for_issued(
    chain: &[u8],
    own: &PrivateKeyDer<'static>,
    now: i64,
) -> Result<(Identity, Zeroizing<String>), String> {
    let blocks = Part::Issued.read(chain)?;
    let Some(leaf) = blocks.certificates.first() else {
        return Err("it holds no certificate in PEM".to_owned());
    };
    let parsed = Chain::parse(ISSUED.chain, std::slice::from_ref(leaf))?;
    let made_for = parsed.certificates().first().map(|leaf| leaf.public_key().raw);
    if made_for != public_key_of(own).as_deref() {
        return Err(
            "it was made for another key than that of the request: ask whoever runs the authority"
                .to_owned(),
        );
    }
    let identity = check(&blocks.certificates, own, Source::Uploaded, ISSUED, Some(now))?;
    let text = pem::write(&blocks.certificates, own);
    Ok((identity, text))
}

/// A private key that the appliance has.
pub(super) struct OwnKey<'a> {
    pub(super) key: &'a PrivateKeyDer<'static>,
    /// As in "the key in force".
    pub(super) name: String,
}

fn find_own_key<'a>(
    chain: &Chain<'_>,
    keys: &[OwnKey<'a>],
) -> Result<&'a PrivateKeyDer<'static>, String> {
    let public = keys.iter().map(|own| (own, public_key_of(own.key)));
    let public: Vec<(&OwnKey<'a>, Vec<u8>)> =
        public.filter_map(|(own, key)| Some((own, key?))).collect();
    // Any certificate of the chain: `check` says that the appliance's own must stand first.
    for certificate in chain.certificates() {
        let fitting = public.iter().find(|(_, key)| certificate.public_key().raw == key.as_slice());
        if let Some((own, _)) = fitting {
            return Ok(own.key);
        }
    }
    let sha256 = |key: &[u8]| super::summary::fingerprint(key);
    let known = public.iter().map(|(own, key)| format!("{} ({})", own.name, sha256(key)));
    Err(format!(
        "there is no keyfile, and {} in certfile was made for a key that the appliance doesn't have: \
         SHA-256 of that public key is {}, and the appliance has {}; upload the private key too, as \
         keyfile, or request a certificate with POST certificaterequest",
        chain.name(0),
        chain.certificates().first().map(|own| sha256(own.public_key().raw)).unwrap_or_default(),
        known.collect::<Vec<_>>().join(" and ")
    ))
}

/// The public half of a key, as SubjectPublicKeyInfo in DER.
pub(super) fn public_key_of(key: &PrivateKeyDer<'_>) -> Option<Vec<u8>> {
    Some(any_supported_type(key).ok()?.public_key()?.as_ref().to_vec())
}

fn check_certificates(chain: &Blocks) -> Result<(), String> {
    if let Some(other) = unread_certificates(chain) {
        return Err(format!("part of certfile is {other}"));
    }
    if chain.certificates.is_empty() {
        return Err(no_certificate(chain));
    }
    Ok(())
}

/// The private key in one of our own files.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn key_in_file(contents: &[u8]) -> Result<pem::Key, String> {
    let blocks = Part::Stored.read(contents)?;
    only_key(&blocks, STORED).map(|key| Zeroizing::new(key.clone_key()))
}

/// Reads one of our own files, chain and key in one; dates are not checked.
pub(super) fn from_file(contents: &[u8], source: Source) -> Result<Identity, String> {
    let blocks = Part::Stored.read(contents)?;
    if blocks.certificates.is_empty() {
        return Err("there is no certificate in the file".to_owned());
    }
    check(&blocks.certificates, only_key(&blocks, STORED)?, source, STORED, None)
}

/// What to do with PKCS#12.
pub(crate) const PKCS12: &str = "of PKCS#12 (.p12, .pfx) the contents are needed as PEM: `openssl pkcs12 -in appliance.p12 -nodes -out \
     appliance.pem` writes key and chain, with `-legacy` if the file is an old one; upload appliance.pem as \
     certfile";

/// What error messages call the files.
#[derive(Clone, Copy)]
struct Files {
    key: &'static str,
    chain: &'static str,
}

const UPLOAD: Files = Files { key: "keyfile", chain: "certfile" };
const ISSUED: Files = Files { key: "the request", chain: "the chain" };
const STORED: Files = Files { key: "the file", chain: "the file" };

fn check(
    ders: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    source: Source,
    files: Files,
    now: Option<i64>,
) -> Result<Identity, String> {
    let file = files.chain;
    let chain = Chain::parse(file, ders)?;
    let [own, ..] = chain.certificates() else {
        return Err(format!("there is no certificate in {file}"));
    };
    public_key::kind(own.public_key())
        .check()
        .map_err(|what| format!("{} in {file} has {what}: {SUPPORTED}", chain.name(0)))?;
    let signer = any_supported_type(key).map_err(|_| {
        format!(
            "the key in {} is damaged or of a kind that is not supported; {SUPPORTED}: check it with \
             `openssl pkey -in appliance.key -check -noout`",
            files.key
        )
    })?;
    check_key_belongs(&chain, signer.as_ref(), files)?;
    check_key_signs(signer.as_ref(), files)?;
    chain.check_order(file)?;
    if let Some(now) = now {
        check_usage(own, &chain, file)?;
        chain.check_dates(file, now)?;
    }
    let summary = Summary::of(source, &ders[0], chain.certificates(), own);
    Ok(Identity { certified: Arc::new(CertifiedKey::new(ders.to_vec(), signer)), summary })
}

/// Compares the key with the first certificate as rustls' `keys_match` does, by the public key's
/// bytes, but also with the later ones and without rejecting X.509 version 1.
fn check_key_belongs(
    chain: &Chain<'_>,
    signer: &dyn SigningKey,
    files: Files,
) -> Result<(), String> {
    let public = signer.public_key();
    let public = public.as_ref().map(|public| public.as_ref());
    let owner = chain.certificates().iter().position(|one| Some(one.public_key().raw) == public);
    match owner {
        Some(0) => Ok(()),
        Some(owner) => {
            let order = chain.order_from(owner);
            let advice = if order.len() == chain.certificates().len() {
                format!("; the right order is {}", chain.listed(&order))
            } else {
                ", then the one that issued it, and so on".to_owned()
            };
            Err(format!(
                "the key in {} belongs to {} in {}, not to the first one: the appliance's own \
                 certificate must stand first{advice}",
                files.key,
                chain.name(owner),
                files.chain
            ))
        }
        None => Err(format!(
            "the key in {} does not belong to {} in {}: use the key that this certificate was \
             requested with",
            files.key,
            chain.name(0),
            files.chain
        )),
    }
}

/// RFC 8446 section 4.4.2.2: a key usage, if present, must have digitalSignature. Browsers refuse any
/// other without a way to proceed. A certificate already in service is not rejected.
fn check_usage(own: &X509Certificate<'_>, chain: &Chain<'_>, file: &str) -> Result<(), String> {
    let usage = own.key_usage().map_err(|_| {
        format!("{} in {file} has a damaged keyUsage: have it issued again", chain.name(0))
    })?;
    match usage {
        Some(usage) if !usage.value.digital_signature() => Err(format!(
            "{} in {file} has a keyUsage without digitalSignature, so browsers refuse to open the \
             appliance with it: have it issued again with keyUsage digitalSignature",
            chain.name(0)
        )),
        _ => Ok(()),
    }
}

/// One signature proves that the private key works. It costs a millisecond; a failing handshake would lock
/// the administrator out.
fn check_key_signs(signer: &dyn SigningKey, files: Files) -> Result<(), String> {
    let schemes = [
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ED25519,
    ];
    match signer.choose_scheme(&schemes).map(|scheme| scheme.sign(b"does it sign?")) {
        Some(Ok(_)) => Ok(()),
        _ => Err(format!("the key in {} can't sign a TLS handshake: {SUPPORTED}", files.key)),
    }
}

fn only_key(blocks: &Blocks, files: Files) -> Result<&PrivateKeyDer<'static>, String> {
    match (blocks.keys.as_slice(), blocks.encrypted_keys) {
        ([key], 0) => Ok(key),
        ([], 0) => Err(no_key(blocks, files)),
        ([], 1) => Err("encrypted private keys are not supported: remove the passphrase with \
                        `openssl pkey -in appliance.key -out plain.key` and upload plain.key as \
                        keyfile"
            .to_owned()),
        (keys, encrypted) => Err(format!(
            "there are {} private keys in {}: leave only the one that belongs to the certificate",
            keys.len() + encrypted,
            files.key
        )),
    }
}

fn no_key(blocks: &Blocks, files: Files) -> String {
    let has = |label: &str| blocks.others.contains(&label);
    let why = if has("DSA PRIVATE KEY") {
        format!(", only a DSA key, which is not supported; {SUPPORTED}")
    } else if has("OPENSSH PRIVATE KEY") {
        ", only an SSH key: upload the key that the certificate was requested with".to_owned()
    } else if has("PUBLIC KEY") {
        ", only a public one: upload the private key that belongs to it".to_owned()
    } else if !blocks.certificates.is_empty() {
        ", only a certificate: upload the private key that belongs to it".to_owned()
    } else {
        ": upload the file that has a BEGIN PRIVATE KEY line".to_owned()
    };
    format!("there is no private key in {}{why}", files.key)
}

/// Certificate formats that are not read: ignoring them would silently shorten the chain.
fn unread_certificates(blocks: &Blocks) -> Option<&'static str> {
    blocks.others.iter().find_map(|label| match *label {
        "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => Some(
            "PKCS#7, and plain certificates are needed: convert it with `openssl pkcs7 \
             -print_certs -in appliance.p7b -out appliance.crt`",
        ),
        "TRUSTED CERTIFICATE" => Some(
            "a certificate in OpenSSL's trusted form, and the plain one is needed: convert it with \
             `openssl x509 -in appliance.crt -out plain.crt`",
        ),
        _ => None,
    })
}

fn no_certificate(blocks: &Blocks) -> String {
    let has = |label: &str| blocks.others.contains(&label);
    let why = if !blocks.requests.is_empty() || has("NEW CERTIFICATE REQUEST") {
        ", only a request for one: send that to your certificate authority and upload its answer"
    } else if !blocks.keys.is_empty() || blocks.encrypted_keys > 0 {
        ", only a private key: upload the certificate that belongs to it"
    } else {
        ": upload the file that has a BEGIN CERTIFICATE line"
    };
    format!("there is no certificate in certfile{why}")
}

/// The file that a message is about.
#[derive(Clone, Copy)]
enum Part {
    Key,
    Chain,
    Stored,
    Issued,
}

impl Part {
    fn read(self, contents: &[u8]) -> Result<Blocks, String> {
        pem::read(contents).map_err(|broken| self.explain(broken))
    }

    fn explain(self, broken: Error) -> String {
        let (file, der) = match self {
            Part::Key => ("keyfile", "openssl pkey -inform DER -in appliance.key -out plain.key"),
            Part::Chain => {
                ("certfile", "openssl x509 -inform DER -in appliance.crt -out plain.crt")
            }
            Part::Stored => ("the file", "openssl"),
            Part::Issued => ("the chain", "openssl"),
        };
        match broken {
            Error::Empty => format!("{file} is empty"),
            Error::Der => format!("{file} is DER, and PEM is needed: convert it with `{der}`"),
            Error::Pkcs7 => match self {
                Part::Key => {
                    "keyfile is PKCS#7, which holds certificates and never a key: upload the \
                              private key that the certificate was requested with"
                        .to_owned()
                }
                _ => format!(
                    "{file} is PKCS#7 in DER, and PEM is needed: convert it with `openssl pkcs7 \
                     -print_certs -inform DER -in appliance.p7b -out appliance.crt`"
                ),
            },
            Error::Pkcs12 => format!("{file} is PKCS#12; {PKCS12}"),
            Error::Utf16 => format!(
                "{file} is UTF-16 text, and PEM is plain ASCII: save it again as ASCII or UTF-8"
            ),
            Error::Mixed => format!(
                "{file} is PEM only in part, and the rest is binary, or UTF-16 as PowerShell's `>>` \
                 appends it: put it together again, all of it as ASCII or UTF-8"
            ),
            Error::NotPem => format!(
                "{file} is not PEM: upload a text file with BEGIN and END lines, as `openssl` \
                 writes it"
            ),
            Error::Block(what) => format!("{file} is damaged: {what}"),
        }
    }
}
