//! Whose signature counts: the trust file of the image, and the bundle of keys it vouches for.
//!
//! The trust file names the root keys, in the order of their succession, and holds the first bundle.
//! A bundle names the keys in use and is signed by a root. Newer bundles come inside answers and
//! license certificates; one counts only if its root comes later in the file, or its root is the same
//! and its `seq` is higher, so a thief of an old root key can't block the next one with a high number.
//! Out: keeping the newest bundle on disk, which is the caller's.

use std::fmt;

use serde_json::{Value, json};

use super::fields::{Fault, Fields};
use super::key::{KeyId, PublicKey, RequestPublicKey, SigningKey, from_base64url};
use super::token;
use super::token::{Type, Unverified};
use crate::config::json;
use crate::util::utc;

/// The format of the trust file and of bundles.
const VERSION: i64 = 1;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It does not have the shape of a token or of its payload: which part.
    Malformed(String),
    /// Signed by a key that neither the trust file nor the newest known bundle names.
    Unknown(KeyId),
    /// Signed by a key that the authority has withdrawn.
    Revoked(KeyId),
    /// Signed by a key whose time ended then (seconds since 1970).
    Expired(KeyId, i64),
    /// Signed by a key whose time begins then (seconds since 1970).
    NotYetValid(KeyId, i64),
    /// The newest known bundle itself ended then (seconds since 1970).
    BundleExpired(i64),
    /// The key is known, and did not sign this, or not as what it is presented as.
    NotGenuine,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(what) => {
                write!(f, "it is not in the form of the license authority: {what}")
            }
            Refusal::Unknown(kid) => write!(
                f,
                "it is signed with key {kid}, which this appliance does not know; it may come from another vendor"
            ),
            Refusal::Revoked(kid) => {
                write!(f, "it is signed with key {kid}, which the license authority has withdrawn")
            }
            Refusal::Expired(kid, at) => {
                write!(f, "it is signed with key {kid}, which was valid until {}", utc::format(*at))
            }
            Refusal::NotYetValid(kid, at) => write!(
                f,
                "it is signed with key {kid}, which is valid from {}; check the clock",
                utc::format(*at)
            ),
            Refusal::BundleExpired(at) => write!(
                f,
                "the keys known to this appliance were valid until {}; ask for a new license certificate or go online once",
                utc::format(*at)
            ),
            Refusal::NotGenuine => f.write_str("its signature is not genuine"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Which dates of keys are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Something new: the key must be valid at this moment, in seconds since 1970.
    At(i64),
    /// Something kept that was checked when it came: only a revoked key is refused.
    Kept,
}

/// What became of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is the newest and now in force; keep [`Trust::bundle_token`] on disk.
    Newer,
    /// The one in force is as new or newer; nothing changed.
    NotNewer,
}

/// A key of a bundle, with its time of validity in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<K> {
    /// The key.
    pub key: K,
    /// Not valid before.
    pub nbf: i64,
    /// Not valid from then on.
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

    fn from_json(value: &Value) -> Result<Bundle, Fault> {
        let fields = Fields::of(value)?;
        version(&fields)?;
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
            revoked: revoked.ok_or("`revoked` holds something that is no name of a key")?,
        })
    }
}

fn version(fields: &Fields<'_>) -> Result<(), Fault> {
    match fields.count("v")? {
        VERSION => Ok(()),
        other => Err(format!("version {other}, and this program knows version {VERSION}")),
    }
}

fn entries<K>(
    fields: &Fields<'_>,
    name: &str,
    key: impl Fn(KeyId, [u8; 32]) -> Option<K>,
) -> Result<Vec<Dated<K>>, Fault> {
    let entry = |value: &Value| -> Result<Dated<K>, Fault> {
        let fields = Fields::of(value)?;
        let kid = fields.parsed("kid", "the name of a key", KeyId::parse)?;
        let key = fields.parsed("pub", "a public key", |text| {
            key(kid, from_base64url(text)?.try_into().ok()?)
        })?;
        Ok(Dated { key, nbf: fields.number("nbf")?, exp: fields.number("exp")? })
    };
    fields.array(name)?.iter().map(entry).collect()
}

/// The keys this side believes in.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Vec<(KeyId, PublicKey)>,
    /// Which of the roots signed the bundle.
    root: usize,
    bundle: Bundle,
    token: String,
}

impl Trust {
    /// Reads a trust file; its bundle must be signed by one of its roots.
    ///
    /// # Errors
    /// What is wrong with it, to complete "the trust file … is not usable: ".
    pub fn parse(file: &[u8]) -> Result<Trust, String> {
        let value = json::parse(file)?;
        let fields = Fields::of(&value)?;
        version(&fields)?;
        let root = |value: &Value| -> Result<(KeyId, PublicKey), Fault> {
            let fields = Fields::of(value)?;
            let kid = fields.parsed("kid", "the name of a key", KeyId::parse)?;
            Ok((kid, fields.public_key("pub")?))
        };
        let roots = fields.array("roots")?.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        let token = fields.text("bundle", token::LONGEST)?;
        let (root, bundle) =
            verified(&roots, &token).map_err(|refusal| format!("`bundle`: {refusal}"))?;
        Ok(Trust { roots, root, bundle, token })
    }

    /// A trust file for the image, with the bundle in force.
    pub fn to_file(&self) -> String {
        trust_file(&self.roots, &self.token)
    }

    /// Takes a bundle in if a root signed it and it is newer than the one in force.
    ///
    /// Its dates are not looked at here: the clock may be wrong, and an older bundle is never better.
    ///
    /// # Errors
    /// Why it does not count; nothing has changed.
    pub fn accept(&mut self, token: &str) -> Result<Acceptance, Refusal> {
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

    /// The bundle in force as the token it came in: what is kept on disk and handed on.
    pub fn bundle_token(&self) -> &str {
        &self.token
    }

    /// The payload of a token of type `kind` that an issuer in force signed.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify(&self, kind: Type, token: &str, dates: Dates) -> Result<Value, Refusal> {
        let token =
            Unverified::parse(token).ok_or_else(|| Refusal::Malformed("no token".into()))?;
        let issuer = self.issuer(&token.kid, dates)?;
        token.verify(kind, issuer).ok_or(Refusal::NotGenuine)
    }

    /// The same for a license certificate, which may bring the bundle that names its own issuer: that
    /// bundle is accepted first, if a root signed it, whatever becomes of the certificate.
    ///
    /// # Errors
    /// Why the certificate does not count. [`Trust::bundle_token`] tells whether the bundle is new.
    pub fn verify_certificate(&mut self, token: &str, dates: Dates) -> Result<Value, Refusal> {
        let brought = Unverified::parse(token).and_then(|token| token.dangerous_payload());
        if let Some(bundle) = brought.as_ref().and_then(|payload| payload["bundle"].as_str()) {
            // A bundle that does not count must not get in the way of a certificate that does.
            let _ = self.accept(bundle);
        }
        self.verify(Type::LicenseCertificate, token, dates)
    }

    /// The public key of an issuer.
    ///
    /// # Errors
    /// Why it may not sign.
    pub fn issuer(&self, kid: &KeyId, dates: Dates) -> Result<&PublicKey, Refusal> {
        if self.bundle.revoked.contains(kid) {
            return Err(Refusal::Revoked(kid.clone()));
        }
        let named = self.bundle.issuers.iter().find(|(name, _)| name == kid);
        let (_, issuer) = named.ok_or_else(|| Refusal::Unknown(kid.clone()))?;
        if let Dates::At(now) = dates {
            if now >= self.bundle.exp {
                return Err(Refusal::BundleExpired(self.bundle.exp));
            }
            if now < issuer.nbf {
                return Err(Refusal::NotYetValid(kid.clone(), issuer.nbf));
            }
            if now >= issuer.exp {
                return Err(Refusal::Expired(kid.clone(), issuer.exp));
            }
        }
        Ok(&issuer.key)
    }

    /// The keys a request may be sealed to, the best first.
    ///
    /// Those valid `now` come before the others and younger ones before older ones; a wrong clock must
    /// not keep an appliance from asking, so only revoked ones are left out.
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

/// What [`Trust::parse`] reads.
pub fn trust_file(roots: &[(KeyId, PublicKey)], bundle: &str) -> String {
    let root =
        |(kid, key): &(KeyId, PublicKey)| json!({"kid": kid.as_str(), "pub": key.to_string()});
    let roots: Vec<Value> = roots.iter().map(root).collect();
    format!("{}\n", json!({"v": VERSION, "roots": roots, "bundle": bundle}))
}

fn verified(roots: &[(KeyId, PublicKey)], token: &str) -> Result<(usize, Bundle), Refusal> {
    let token = Unverified::parse(token).ok_or_else(|| Refusal::Malformed("no token".into()))?;
    let root = roots.iter().position(|(kid, _)| *kid == token.kid);
    let at = root.ok_or_else(|| Refusal::Unknown(token.kid.clone()))?;
    let payload = token.verify(Type::Bundle, &roots[at].1).ok_or(Refusal::NotGenuine)?;
    Ok((at, Bundle::from_json(&payload).map_err(Refusal::Malformed)?))
}

#[cfg(test)]
mod tests;
