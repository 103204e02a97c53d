//! The authority's keys: made by `init`, renewed by `rotate`, named by the bundle.
//!
//! One record holds them all, so that they change together. The root key, which signs only the bundle, has a
//! file of its own and may be stored elsewhere between rotations.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::license::protocol::fields;
use crate::license::protocol::hex;
use crate::license::protocol::key::{KeyId, PublicKey, RequestKey, SigningKey};
use crate::license::protocol::trust::{Bundle, Dated, Trust, trust_file};
use crate::store::{self, Error};

use super::audit::{self, AuditHead};
use super::database::{Database, KEYS, Key, Kind, Scope, Transaction, read};
use super::license::DAY;
use super::records;

const VERSION: i64 = 2;

/// How long a key is valid, in seconds. Rotate well before: appliances learn of the next key only when
/// they are online or get a license certificate.
const KEY_LIFE: i64 = 3 * 365 * DAY;

/// How long a bundle is valid, in seconds: longer than any key in it.
const BUNDLE_LIFE: i64 = 2 * KEY_LIFE;

/// The name of the root key; the format has room for a successor.
const ROOT: &str = "r1";

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Signs leases and certificates.
    Issuer,
    /// Requests are sealed to it.
    Request,
}

/// All keys but the private root key.
pub(crate) struct Keyring {
    /// The first four digits of every code.
    pub(crate) customer: i64,
    root: (KeyId, PublicKey),
    issuers: Vec<(KeyId, Dated<SigningKey>)>,
    /// They open requests: all there ever were, because a certificate may arrive late.
    pub(crate) request_keys: Vec<RequestKey>,
    /// The validity of each request key.
    validity: Vec<(i64, i64)>,
    pub(crate) revoked: Vec<KeyId>,
    /// `seq` of the bundle.
    pub(crate) seq: i64,
    /// The bundle as a token.
    pub(crate) bundle: String,
    audit: AuditHead,
}

fn root_key(dir: &Path) -> PathBuf {
    dir.join("root.key")
}

/// Makes the folder and the first keys; false when there are keys already.
///
/// # Errors
/// When the system refuses.
pub(crate) fn init(
    database: &dyn Database,
    dir: &Path,
    customer: i64,
    now: i64,
) -> Result<bool, Error> {
    store::make_folder(dir)?;
    let root = SigningKey::generate()?;
    let mut keys = Keyring {
        customer,
        root: (named(KeyId::parse(ROOT))?, root.public()),
        issuers: Vec::new(),
        request_keys: Vec::new(),
        validity: Vec::new(),
        revoked: Vec::new(),
        seq: 0,
        bundle: String::new(),
        audit: AuditHead::none(),
    };
    keys.add(KeyKind::Issuer, now)?;
    keys.add(KeyKind::Request, now)?;
    keys.sign_bundle(&root, now);
    let secret = Zeroizing::new(format!("{}\n", hex::encode(&root.seed()[..])));
    let (mut made, audit) = (false, keys.audit);
    database.transact(KEYS, &mut |step| {
        made = step.read(&Key::keys())?.is_none();
        if made {
            store::replace(&root_key(dir), secret.as_bytes())?;
            keys.audit = audit;
            keys.save(step, &json!({"event": "initialised"}), now);
        }
        Ok(())
    })?;
    if made {
        keys.write_trust(dir)?;
    }
    Ok(made)
}

/// Adds a key that is used from now on, and with `revoke` revokes the older ones; returns its name.
///
/// # Errors
/// When the root key is missing, or the system refuses.
pub(crate) fn rotate(
    database: &dyn Database,
    dir: &Path,
    which: KeyKind,
    revoke: bool,
    now: i64,
) -> Result<KeyId, Error> {
    let mut rotated = None;
    database.transact(KEYS, &mut |step| {
        let mut keys = Keyring::parse(&step.read(&Key::keys())?.ok_or_else(|| absent(dir))?)?;
        let root = keys.read_root(dir)?;
        if revoke {
            let older: Vec<KeyId> = match which {
                KeyKind::Issuer => keys.issuers.iter().map(|(kid, _)| kid.clone()).collect(),
                KeyKind::Request => keys.request_keys.iter().map(|key| key.kid.clone()).collect(),
            };
            keys.revoked.extend(older);
            keys.revoked.sort_unstable();
            keys.revoked.dedup();
        }
        let kid = keys.add(which, now)?;
        keys.sign_bundle(&root, now);
        let event = json!({"event": "rotated", "key": kid.as_str(), "revoked": revoke});
        keys.save(step, &event, now);
        rotated = Some((keys, kid));
        Ok(())
    })?;
    let (keys, kid) = rotated.ok_or_else(|| absent(dir))?;
    keys.write_trust(dir).map(|()| kid)
}

/// How many entries the audit log of the keys has.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn verify(database: &dyn Database, dir: &Path) -> Result<u64, Error> {
    let keys = Keyring::load(database, dir)?;
    let scope = Scope::All { kind: Kind::KeyAudit };
    audit::verify(database, scope, &AuditHead::none(), &keys.audit)
        .map_err(|what| Error::new(format!("audit log of the keys: {what}")))
}

fn named(kid: Option<KeyId>) -> Result<KeyId, Error> {
    kid.ok_or_else(|| Error::new("no key name is left for another key"))
}

fn absent(dir: &Path) -> Error {
    if dir.join("keys.json").exists() {
        return Error::new(format!(
            "{0} is of an earlier release: bring it over with `license-authority upgrade --dir {0}`",
            dir.display()
        ));
    }
    Error::new(format!(
        "{} holds no license authority; make one with `license-authority init --dir {0} --customer 4949`, or name another folder with --dir",
        dir.display()
    ))
}

impl Keyring {
    /// Reads the keys; `dir` is named if there are none.
    ///
    /// # Errors
    /// When there are none, or they can't be read.
    pub(crate) fn load(database: &dyn Database, dir: &Path) -> Result<Keyring, Error> {
        let text = read(database, &Key::keys())?.ok_or_else(|| absent(dir))?;
        Keyring::parse(&text)
    }

    /// The same from the text of their record.
    ///
    /// # Errors
    /// When it is damaged.
    pub(crate) fn parse(text: &str) -> Result<Keyring, Error> {
        records::parse_record(&Key::keys(), text, Keyring::from_json)
    }

    fn save(&mut self, step: &mut dyn Transaction, event: &Value, now: i64) {
        let line = self.audit.next_line(event, now);
        step.write(Key::key_audit(self.audit.lines), Some(line));
        step.write(Key::keys(), Some(self.to_json().to_string()));
    }

    /// The key that signs now: the newest valid one; `None` when all have expired.
    pub(crate) fn issuer(&self, now: i64) -> Option<(&KeyId, &SigningKey)> {
        let mut valid = self.issuers.iter().rev().filter(|(kid, issuer)| {
            (issuer.nbf..issuer.exp).contains(&now) && !self.revoked.contains(kid)
        });
        valid.next().map(|(kid, issuer)| (kid, &issuer.key))
    }

    /// The content of `trust.json`, for the appliance's image.
    pub(crate) fn trust_file(&self) -> String {
        trust_file(std::slice::from_ref(&self.root), &self.bundle)
    }

    /// The trust of an appliance that has this bundle.
    ///
    /// # Errors
    /// What is wrong with the keys.
    pub(crate) fn trust(&self) -> Result<Trust, fields::Error> {
        Trust::parse(self.trust_file().as_bytes())
    }

    /// Writes `trust.json`, which is derived from the keys, unless it is up to date. It holds no secret, so
    /// all users may read it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn write_trust(&self, dir: &Path) -> Result<(), Error> {
        let (path, wanted) = (dir.join("trust.json"), self.trust_file());
        let readable = |path| std::fs::metadata(path).is_ok_and(|m| m.mode() & 0o444 == 0o444);
        match std::fs::read(&path) {
            Ok(found) if found == wanted.as_bytes() && readable(&path) => Ok(()),
            _ => store::publish(&path, wanted.as_bytes()),
        }
    }

    /// When the newest issuer key expires, for a warning.
    pub(crate) fn issuer_end(&self) -> i64 {
        self.issuers.iter().map(|(_, issuer)| issuer.exp).max().unwrap_or(0)
    }

    fn add(&mut self, which: KeyKind, now: i64) -> Result<KeyId, Error> {
        let name =
            |letter: char, count: usize| named(KeyId::parse(&format!("{letter}{}", count + 1)));
        // Valid from yesterday, for appliances whose clock is slow.
        let (nbf, exp) = (now - DAY, now + KEY_LIFE);
        match which {
            KeyKind::Issuer => {
                let kid = name('i', self.issuers.len())?;
                let key = SigningKey::generate()?;
                self.issuers.push((kid.clone(), Dated { key, nbf, exp }));
                Ok(kid)
            }
            KeyKind::Request => {
                let kid = name('k', self.request_keys.len())?;
                self.request_keys.push(RequestKey::generate(kid.clone())?);
                self.validity.push((nbf, exp));
                Ok(kid)
            }
        }
    }

    fn sign_bundle(&mut self, root: &SigningKey, now: i64) {
        self.seq += 1;
        let issuer = |(kid, issuer): &(KeyId, Dated<SigningKey>)| {
            (kid.clone(), Dated { key: issuer.key.public(), nbf: issuer.nbf, exp: issuer.exp })
        };
        let request_keys =
            self.request_keys.iter().zip(&self.validity).filter_map(|(key, dates)| {
                Some(Dated { key: key.public().ok()?, nbf: dates.0, exp: dates.1 })
            });
        let bundle = Bundle {
            seq: self.seq,
            exp: now + BUNDLE_LIFE,
            issuers: self.issuers.iter().map(issuer).collect(),
            request_keys: request_keys.collect(),
            revoked: self.revoked.clone(),
        };
        self.bundle = bundle.sign(&self.root.0, root);
    }

    fn read_root(&self, dir: &Path) -> Result<SigningKey, Error> {
        let path = root_key(dir);
        let text = store::read(&path, 1_000)?.ok_or_else(|| {
            Error::new(format!(
                "{} is missing: put the root key back to rotate keys",
                path.display()
            ))
        })?;
        let seed = std::str::from_utf8(&text).ok().and_then(|text| hex::decode(text.trim()));
        let seed = seed.map(Zeroizing::new).and_then(|seed| <[u8; 32]>::try_from(&seed[..]).ok());
        let damaged = || {
            let what = "is damaged: not 64 hex digits; restore it from a backup";
            Error::new(format!("{} {what}", path.display()))
        };
        let seed = seed.ok_or_else(damaged)?;
        let key = SigningKey::from_seed(&seed)?;
        if key.public() == self.root.1 {
            Ok(key)
        } else {
            Err(Error::new(format!("{} is the root key of another authority", path.display())))
        }
    }
}

mod record;

#[cfg(test)]
mod tests;
