//! The payloads of tokens: a lease of seconds, and a receipt for returned seconds.

use serde_json::{Value, json};

use super::fields::{Error, Fields, computer_id, license_code};
use super::hex::{Digest, RequestId};

/// `allocated` of a license whose seconds are not counted down (the largest 32-bit number).
pub const UNLIMITED: i64 = 2_147_483_647;

/// What an appliance may use: the payload of a `lease` or `license-cert` token.
///
/// Seconds are running totals of one epoch; dates are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The 18-digit code.
    pub license: String,
    /// The customer: the first four digits of the code.
    pub customer_id: i64,
    /// The product number, digits.
    pub product: String,
    /// The only computer it is valid for.
    pub computer_id: String,
    /// The only device key it is valid for: its [fingerprint](super::key::PublicKey::fingerprint).
    pub device: Digest,
    /// The request that it answers.
    pub req_id: RequestId,
    /// How often this appliance's accounting was restarted.
    pub epoch: i64,
    /// Number of the answer within its epoch, from 1.
    pub seq: i64,
    /// Seconds granted in this epoch, used ones included.
    pub granted: i64,
    /// Seconds of the whole license; [`UNLIMITED`] for no limit.
    pub allocated: i64,
    /// Seconds not granted to any appliance yet; [`UNLIMITED`] for no limit.
    pub pool_left: i64,
    /// Most seconds that an online appliance holds.
    pub cache: i64,
    /// License type (MA-21): 2 trial, 6 concurrent subscription.
    pub kind: i64,
    /// Names of other licensed features.
    pub features: Vec<String>,
    /// End of the subscription.
    pub exp: i64,
    /// Seconds after `exp` in which work goes on with a warning.
    pub grace: i64,
    /// When the lease ends unless renewed; never after `exp + grace`.
    pub lease_exp: i64,
    /// When the token was made, by the authority's clock.
    pub iat: i64,
    /// Whether the appliance may switch to offline mode.
    pub offline_mode: bool,
    /// Most seconds that an appliance in offline mode holds.
    pub offline_secs: i64,
    /// When offline mode must end; 0 where it is not allowed.
    pub offline_until: i64,
    /// A newer bundle, for an appliance that cannot receive it otherwise.
    pub bundle: Option<String>,
}

impl Lease {
    /// The payload of the token.
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "license": self.license,
            "customer_id": self.customer_id,
            "product": self.product,
            "computer_id": self.computer_id,
            "device": self.device.to_string(),
            "req_id": self.req_id.to_string(),
            "epoch": self.epoch,
            "seq": self.seq,
            "granted": self.granted,
            "allocated": self.allocated,
            "pool_left": self.pool_left,
            "cache": self.cache,
            "kind": self.kind,
            "features": self.features,
            "exp": self.exp,
            "grace": self.grace,
            "lease_exp": self.lease_exp,
            "iat": self.iat,
            "offline_mode": self.offline_mode,
            "offline_secs": self.offline_secs,
            "offline_until": self.offline_until,
        });
        if let (Some(bundle), Some(members)) = (&self.bundle, value.as_object_mut()) {
            members.insert("bundle".to_owned(), bundle.as_str().into());
        }
        value
    }

    /// Reads a verified payload.
    ///
    /// # Errors
    /// Which member is missing or wrong.
    pub fn from_json(value: &Value) -> Result<Lease, Error> {
        let fields = Fields::of(value)?;
        Ok(Lease {
            license: fields.parsed("license", "18 digits", license_code)?,
            customer_id: fields.count("customer_id")?,
            product: fields.text("product", 16)?,
            computer_id: fields.parsed("computer_id", "a UUID", computer_id)?,
            device: fields.digest("device")?,
            req_id: fields.request_id("req_id")?,
            epoch: fields.count("epoch")?,
            seq: fields.count("seq")?,
            granted: fields.count("granted")?,
            allocated: fields.count("allocated")?,
            pool_left: fields.count("pool_left")?,
            cache: fields.count("cache")?,
            kind: fields.count("kind")?,
            features: features(&fields)?,
            exp: fields.number("exp")?,
            grace: fields.count("grace")?,
            lease_exp: fields.number("lease_exp")?,
            iat: fields.number("iat")?,
            offline_mode: fields.flag("offline_mode")?,
            offline_secs: fields.count("offline_secs")?,
            offline_until: fields.number("offline_until")?,
            bundle: fields.optional("bundle", "a token", |text| Some(text.to_owned()))?,
        })
    }
}

fn features(fields: &Fields<'_>) -> Result<Vec<String>, Error> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    let names = fields.array("features")?.iter().map(name).collect::<Option<_>>();
    names.ok_or_else(|| "`features` holds something that is not a text".into())
}

/// Proof that an appliance returned its seconds: the payload of a `return-receipt` token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The 18-digit code.
    pub license: String,
    /// The computer that returned them.
    pub computer_id: String,
    /// The [fingerprint](super::key::PublicKey::fingerprint) of its device key.
    pub device: Digest,
    /// The request that it answers.
    pub req_id: RequestId,
    /// The epoch that the return closed; the next activation reports it to the authority.
    pub epoch: i64,
    /// Seconds returned to the license.
    pub returned: i64,
    /// When the token was made, by the authority's clock.
    pub iat: i64,
}

impl Receipt {
    /// The payload of the token.
    pub fn to_json(&self) -> Value {
        json!({
            "license": self.license,
            "computer_id": self.computer_id,
            "device": self.device.to_string(),
            "req_id": self.req_id.to_string(),
            "epoch": self.epoch,
            "returned": self.returned,
            "iat": self.iat,
        })
    }

    /// Reads a verified payload.
    ///
    /// # Errors
    /// Which member is missing or wrong.
    pub fn from_json(value: &Value) -> Result<Receipt, Error> {
        let fields = Fields::of(value)?;
        Ok(Receipt {
            license: fields.parsed("license", "18 digits", license_code)?,
            computer_id: fields.parsed("computer_id", "a UUID", computer_id)?,
            device: fields.digest("device")?,
            req_id: fields.request_id("req_id")?,
            epoch: fields.count("epoch")?,
            returned: fields.count("returned")?,
            iat: fields.number("iat")?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Lease, Receipt};
    use crate::license::protocol::hex::{Digest, RequestId};

    fn lease() -> Lease {
        Lease {
            license: "494953679762904933".to_owned(),
            customer_id: 4949,
            product: "103".to_owned(),
            computer_id: "bc8e7e32-7cc6-4292-83e5-555c726ae8d8".to_owned(),
            device: Digest::of(b"device"),
            req_id: RequestId([7; 16]),
            epoch: 1,
            seq: 2,
            granted: 3_600,
            allocated: 1_800_000,
            pool_left: 1_796_400,
            cache: 3_600,
            kind: 6,
            features: vec!["enhanced".to_owned()],
            exp: 1_634_387_197,
            grace: 604_800,
            lease_exp: 1_634_000_000,
            iat: 1_633_000_000,
            offline_mode: true,
            offline_secs: 180_000,
            offline_until: 1_634_387_197,
            bundle: Some("r1.e30.e30".to_owned()),
        }
    }

    #[test]
    fn what_is_stated_is_read_again() {
        let with = lease();
        assert_eq!(Lease::from_json(&with.to_json()).as_ref(), Ok(&with));
        let without = Lease { bundle: None, ..with };
        assert_eq!(Lease::from_json(&without.to_json()), Ok(without));
        let receipt = Receipt {
            license: "494953679762904933".to_owned(),
            computer_id: "bc8e7e32-7cc6-4292-83e5-555c726ae8d8".to_owned(),
            device: Digest::of(b"device"),
            req_id: RequestId([7; 16]),
            epoch: 1,
            returned: 60_780,
            iat: 1_633_000_000,
        };
        assert_eq!(Receipt::from_json(&receipt.to_json()), Ok(receipt));
    }

    #[test]
    fn a_wrong_type_is_named_and_an_unknown_member_ignored() {
        let mut value = lease().to_json();
        value["later"] = 1.into();
        assert!(Lease::from_json(&value).is_ok());
        for (name, wrong) in [("granted", "60".into()), ("cache", 1.5.into()), ("seq", (-1).into())]
        {
            let mut value = lease().to_json();
            value[name] = wrong;
            assert!(Lease::from_json(&value).unwrap_err().to_string().contains(name));
            value.as_object_mut().unwrap().remove(name);
            assert_eq!(Lease::from_json(&value), Err(format!("`{name}` is missing").into()));
        }
    }
}
