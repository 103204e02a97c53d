//! The keys as JSON.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Keyring, VERSION};
use crate::authority::audit::AuditHead;
use crate::license::protocol::fields::{self, Fields};
use crate::license::protocol::hex;
use crate::license::protocol::key::{KeyId, RequestKey, SigningKey};
use crate::license::protocol::trust::Dated;

impl Keyring {
    pub(super) fn to_json(&self) -> Value {
        let entry = |kid: &KeyId, secret: &[u8; 32], nbf: i64, exp: i64| json!({"kid": kid.as_str(), "secret": hex::encode(secret), "nbf": nbf, "exp": exp});
        let issuers = self.issuers.iter().map(|(kid, i)| entry(kid, i.key.seed(), i.nbf, i.exp));
        let request_keys = self.request_keys.iter().zip(&self.validity);
        let request_keys =
            request_keys.map(|(key, (nbf, exp))| entry(&key.kid, key.secret(), *nbf, *exp));
        json!({
            "v": VERSION,
            "customer": self.customer,
            "root": {"kid": self.root.0.as_str(), "pub": self.root.1.to_string()},
            "seq": self.seq,
            "issuers": issuers.collect::<Vec<_>>(),
            "request_keys": request_keys.collect::<Vec<_>>(),
            "revoked": self.revoked.iter().map(KeyId::as_str).collect::<Vec<_>>(),
            "bundle": self.bundle,
            "audit": self.audit,
        })
    }

    pub(super) fn from_json(value: &Value) -> Result<Keyring, fields::Error> {
        let fields = Fields::of(value)?;
        fields.version(VERSION)?;
        let name = |fields: &Fields<'_>| fields.parsed("kid", "the name of a key", KeyId::parse);
        let mut keys = Keyring {
            customer: fields.count("customer")?,
            root: fields.object("root", |root| Ok((name(root)?, root.public_key("pub")?)))?,
            issuers: Vec::new(),
            request_keys: Vec::new(),
            validity: Vec::new(),
            revoked: Vec::new(),
            seq: fields.count("seq")?,
            bundle: fields.text("bundle", crate::license::protocol::token::LONGEST)?,
            audit: fields.object("audit", AuditHead::read)?,
        };
        for entry in fields.array("issuers")? {
            let (kid, secret, nbf, exp) = secret(entry)?;
            let key = SigningKey::from_seed(&secret).map_err(|broken| broken.to_string())?;
            keys.issuers.push((kid, Dated { key, nbf, exp }));
        }
        for entry in fields.array("request_keys")? {
            let (kid, secret, nbf, exp) = secret(entry)?;
            keys.request_keys.push(RequestKey::from_secret(kid, &secret));
            keys.validity.push((nbf, exp));
        }
        for kid in fields.array("revoked")? {
            let kid = kid.as_str().and_then(KeyId::parse);
            keys.revoked.push(kid.ok_or("`revoked` holds something that is no name of a key")?);
        }
        keys.trust()?;
        Ok(keys)
    }
}

type Secret = (KeyId, Zeroizing<[u8; 32]>, i64, i64);

fn secret(value: &Value) -> Result<Secret, fields::Error> {
    let fields = Fields::of(value)?;
    let secret = fields.parsed("secret", "64 hex digits", |text| {
        Zeroizing::new(hex::decode(text)?).as_slice().try_into().ok().map(Zeroizing::new)
    })?;
    let kid = fields.parsed("kid", "the name of a key", KeyId::parse)?;
    Ok((kid, secret, fields.number("nbf")?, fields.number("exp")?))
}
