//! Which signatures count: the trust file of the image, and the bundle of keys signed by its roots.
//! Their form, and which bundle replaces which, is in [the specification](super#trust-file-and-bundle). The
//! caller keeps the newest bundle on disk.

use std::fmt;

use serde_json::{Value, json};

use super::fields;
use super::fields::Fields;
use super::key::{KeyId, PublicKey, RequestPublicKey, SigningKey, from_base64url};
use super::token;
use super::token::{Type, Unverified};
use crate::util::json;
use crate::util::utc;

/// The format of the trust file and of bundles.
const VERSION: i64 = 1;

/// Why a signature was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It does not have the form of a token or of its payload: which part.
    Malformed(String),
    /// Signed by a key that neither the trust file nor the newest known bundle names.
    UnknownKey(KeyId),
    /// Signed by a key that the authority has withdrawn.
    Revoked(KeyId),
    /// Signed by a key that was valid until then (seconds since 1970).
    Expired(KeyId, i64),
    /// Signed by a key that is valid from then on (seconds since 1970).
    NotYetValid(KeyId, i64),
    /// The newest known bundle was valid until then (seconds since 1970).
    BundleExpired(i64),
    /// The key is known, but it did not sign this, or signed it as another type.
    BadSignature,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(what) => {
                write!(f, "it is not in the form of the license authority: {what}")
            }
            Error::UnknownKey(kid) => write!(
                f,
                "it is signed with key {kid}, which this appliance does not know; it may come from another vendor"
            ),
            Error::Revoked(kid) => {
                write!(f, "it is signed with key {kid}, which the license authority has withdrawn")
            }
            Error::Expired(kid, at) => {
                write!(f, "it is signed with key {kid}, which was valid until {}", utc::format(*at))
            }
            Error::NotYetValid(kid, at) => write!(
                f,
                "it is signed with key {kid}, which is valid from {}; check the clock",
                utc::format(*at)
            ),
            Error::BundleExpired(at) => write!(
                f,
                "the keys known to this appliance were valid until {}; ask for a new license certificate or go online once",
                utc::format(*at)
            ),
            Error::BadSignature => f.write_str("its signature is not genuine"),
        }
    }
}

impl std::error::Error for Error {}

/// Whether the validity of keys is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// For something new: the key must be valid at this time, in seconds since 1970.
    At(i64),
    /// For something stored that was checked when it arrived: only a revoked key is refused.
    Ignored,
}

/// Whether a bundle was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is the newest one and now in force; keep [`Trust::bundle_token`] on disk.
    Newer,
    /// The one in force is as new or newer; nothing changed.
    NotNewer,
}

/// A key of a bundle, with its time of validity in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<K> {
    /// The key.
    pub key: K,
    /// Valid from (seconds since 1970).
    pub nbf: i64,
    /// Valid until (seconds since 1970).
    pub exp: i64,
}

/// The keys in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Counts bundles of one root; a higher one replaces a lower one.
    pub seq: i64,
    /// When the bundle ends, in seconds since 1970.
    pub exp: i64,
    /// Keys that sign leases, certificates and receipts.
    pub issuers: Vec<(KeyId, Dated<PublicKey>)>,
    /// Keys that requests are sealed to.
    pub request_keys: Vec<Dated<RequestPublicKey>>,
    /// Names of keys, of either kind, that are withdrawn.
    pub revoked: Vec<KeyId>,
}

impl Bundle {
    /// Makes the token that carries the bundle.
    pub fn sign(&self, root: &KeyId, key: &SigningKey) -> String {
        let dated = |kid: &KeyId, public: &[u8; 32], nbf: i64, exp: i64| json!({"kid": kid.as_str(), "pub": PublicKey(*public).to_string(), "nbf": nbf, "exp": exp});
        let issuers = self.issuers.iter().map(|(kid, i)| dated(kid, &i.key.0, i.nbf, i.exp));
        let kems = self.request_keys.iter().map(|k| dated(&k.key.kid, &k.key.public, k.nbf, k.exp));
        let payload = json!({
            "v": VERSION,
            "seq": self.seq,
            "exp": self.exp,
            "issuers": issuers.collect::<Vec<_>>(),
            "kems": kems.collect::<Vec<_>>(),
            "revoked": self.revoked.iter().map(KeyId::as_str).collect::<Vec<_>>(),
        });
        token::sign(Type::Bundle, root, &payload, key)
    }

    fn from_json(value: &Value) -> Result<Bundle, fields::Error> {
        let fields = Fields::of(value)?;
        fields.version(VERSION)?;
        let revoked = fields.array("revoked")?.iter();
        let revoked = revoked.map(|kid| kid.as_str().and_then(KeyId::parse)).collect::<Option<_>>();
        Ok(Bundle {
            seq: fields.count("seq")?,
            exp: fields.number("exp")?,
            issuers: entries(&fields, "issuers", |kid, public| Some((kid, PublicKey(public))))?
                .into_iter()
                .map(|Dated { key: (kid, key), nbf, exp }| (kid, Dated { key, nbf, exp }))
                .collect(),
            request_keys: entries(&fields, "kems", |kid, public| {
                Some(RequestPublicKey { kid, public })
            })?,
            revoked: revoked.ok_or("`revoked` holds something that is not the name of a key")?,
        })
    }
}

fn entries<K>(
    fields: &Fields<'_>,
    name: &str,
    key: impl Fn(KeyId, [u8; 32]) -> Option<K>,
) -> Result<Vec<Dated<K>>, fields::Error> {
    let entry = |value: &Value| -> Result<Dated<K>, fields::Error> {
        let fields = Fields::of(value)?;
        let kid = fields.parsed("kid", "the name of a key", KeyId::parse)?;
        let key = fields.parsed("pub", "a public key", |text| {
            key(kid, from_base64url(text)?.try_into().ok()?)
        })?;
        Ok(Dated { key, nbf: fields.number("nbf")?, exp: fields.number("exp")? })
    };
    fields.array(name)?.iter().map(entry).collect()
}

/// The keys that this side trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Vec<(KeyId, PublicKey)>,
    /// Index of the root that signed the bundle.
    root: usize,
    bundle: Bundle,
    token: String,
}

impl Trust {
    /// Reads a trust file; its bundle must be signed by one of its roots.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn parse(file: &[u8]) -> Result<Trust, fields::Error> {
        let value = json::parse(file)?;
        let fields = Fields::of(&value)?;
        fields.version(VERSION)?;
        let root = |value: &Value| -> Result<(KeyId, PublicKey), fields::Error> {
            let fields = Fields::of(value)?;
            let kid = fields.parsed("kid", "the name of a key", KeyId::parse)?;
            Ok((kid, fields.public_key("pub")?))
        };
        let roots = fields.array("roots")?.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        let token = fields.text("bundle", token::LONGEST)?;
        let (root, bundle) =
            verified(&roots, &token).map_err(|error| format!("`bundle`: {error}"))?;
        Ok(Trust { roots, root, bundle, token })
    }

    /// A trust file for the image, with the bundle in force.
    pub fn to_file(&self) -> String {
        trust_file(&self.roots, &self.token)
    }

    /// Accepts a bundle if a root signed it and it is newer than the one in force.
    ///
    /// Its dates are not checked here: the clock may be wrong, and an older bundle is never better.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed.
    pub fn accept(&mut self, token: &str) -> Result<Acceptance, Error> {
        let (root, bundle) = verified(&self.roots, token)?;
        if (root, bundle.seq) <= (self.root, self.bundle.seq) {
            return Ok(Acceptance::NotNewer);
        }
        *self =
            Trust { roots: std::mem::take(&mut self.roots), root, bundle, token: token.to_owned() };
        Ok(Acceptance::Newer)
    }

    /// The bundle in force.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The bundle in force as its token, to be stored and passed on.
    pub fn bundle_token(&self) -> &str {
        &self.token
    }

    /// The payload of a token of type `kind` that an issuer in force signed.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn verify(&self, kind: Type, token: &str, dates: Dates) -> Result<Value, Error> {
        let token = Unverified::parse(token).ok_or_else(|| Error::Malformed("no token".into()))?;
        let issuer = self.issuer(&token.kid, dates)?;
        token.verify(kind, issuer).ok_or(Error::BadSignature)
    }

    /// Verifies a license certificate. It may contain the bundle that names its own issuer; that bundle
    /// is accepted first, if a root signed it, even if the certificate is then refused.
    ///
    /// # Errors
    /// Why the certificate was refused. [`Trust::bundle_token`] shows whether the bundle is new.
    pub fn verify_certificate(&mut self, token: &str, dates: Dates) -> Result<Value, Error> {
        let payload = Unverified::parse(token).and_then(|token| token.unverified_payload());
        if let Some(bundle) = payload.as_ref().and_then(|payload| payload["bundle"].as_str()) {
            // An unusable bundle must not prevent the verification of a good certificate.
            let _ = self.accept(bundle);
        }
        self.verify(Type::LicenseCertificate, token, dates)
    }

    /// The public key of an issuer.
    ///
    /// # Errors
    /// Why it may not sign.
    pub fn issuer(&self, kid: &KeyId, dates: Dates) -> Result<&PublicKey, Error> {
        if self.bundle.revoked.contains(kid) {
            return Err(Error::Revoked(kid.clone()));
        }
        let named = self.bundle.issuers.iter().find(|(name, _)| name == kid);
        let (_, issuer) = named.ok_or_else(|| Error::UnknownKey(kid.clone()))?;
        if let Dates::At(now) = dates {
            if now >= self.bundle.exp {
                return Err(Error::BundleExpired(self.bundle.exp));
            }
            if now < issuer.nbf {
                return Err(Error::NotYetValid(kid.clone(), issuer.nbf));
            }
            if now >= issuer.exp {
                return Err(Error::Expired(kid.clone(), issuer.exp));
            }
        }
        Ok(&issuer.key)
    }

    /// The keys that a request may be sealed to, the best first.
    ///
    /// Keys valid `now` come before the others, and newer ones before older ones; a wrong clock must
    /// not prevent a request, so only revoked keys are left out.
    pub fn request_keys(&self, now: i64) -> Vec<&RequestPublicKey> {
        let bundle = &self.bundle;
        let mut keys: Vec<_> = bundle
            .request_keys
            .iter()
            .rev()
            .filter(|key| !bundle.revoked.contains(&key.key.kid))
            .collect();
        keys.sort_by_key(|key| (!(key.nbf..key.exp).contains(&now), std::cmp::Reverse(key.nbf)));
        keys.into_iter().map(|key| &key.key).collect()
    }
}

/// Writes the file that [`Trust::parse`] reads.
pub fn trust_file(roots: &[(KeyId, PublicKey)], bundle: &str) -> String {
    let root =
        |(kid, key): &(KeyId, PublicKey)| json!({"kid": kid.as_str(), "pub": key.to_string()});
    let roots: Vec<Value> = roots.iter().map(root).collect();
    format!("{}\n", json!({"v": VERSION, "roots": roots, "bundle": bundle}))
}

fn verified(roots: &[(KeyId, PublicKey)], token: &str) -> Result<(usize, Bundle), Error> {
    let token = Unverified::parse(token).ok_or_else(|| Error::Malformed("no token".into()))?;
    let root = roots.iter().position(|(kid, _)| *kid == token.kid);
    let at = root.ok_or_else(|| Error::UnknownKey(token.kid.clone()))?;
    let payload = token.verify(Type::Bundle, &roots[at].1).ok_or(Error::BadSignature)?;
    Ok((at, Bundle::from_json(&payload).map_err(|error| Error::Malformed(error.to_string()))?))
}

#[cfg(test)]
mod tests;
