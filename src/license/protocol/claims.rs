//! The payloads of tokens: a lease of seconds, and a receipt for returned seconds.

use serde_json::{Value, json};

use super::fields::{Error, Fields, computer_id, license_code, text};
use super::hex::{Digest, RequestId};
use super::object::object;

/// `allocated` of a license whose seconds are not counted down (the largest 32-bit number).
pub const UNLIMITED: i64 = 2_147_483_647;

object! {
    /// What an appliance may use: the payload of a `lease` or `license-cert` token.
    ///
    /// Seconds are running totals of one epoch; dates are seconds since 1970.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Lease {
        /// The 18-digit code.
        pub license: String = parsed("18 digits", license_code),
        /// The customer: the first four digits of the code.
        pub customer_id: i64 = count,
        /// The product number, digits.
        pub product: String = text(16),
        /// The only computer it is valid for.
        pub computer_id: String = parsed("a UUID", computer_id),
        /// The only device key it is valid for: its [fingerprint](super::key::PublicKey::fingerprint).
        pub device: Digest = digest,
        /// The request that it answers.
        pub req_id: RequestId = request_id,
        /// How often this appliance's accounting was restarted.
        pub epoch: i64 = count,
        /// Number of the answer within its epoch, from 1.
        pub seq: i64 = count,
        /// Seconds granted in this epoch, used ones included.
        pub granted: i64 = count,
        /// Seconds of the whole license; [`UNLIMITED`] for no limit.
        pub allocated: i64 = count,
        /// Seconds not granted to any appliance yet; [`UNLIMITED`] for no limit.
        pub pool_left: i64 = count,
        /// Most seconds that an online appliance holds.
        pub cache: i64 = count,
        /// License type (MA-21): 2 trial, 6 concurrent subscription.
        pub kind: i64 = count,
        /// Names of other licensed features.
        pub features: Vec<String> = texts,
        /// End of the subscription.
        pub exp: i64 = number,
        /// Seconds after `exp` in which work goes on with a warning.
        pub grace: i64 = count,
        /// When the lease ends unless renewed; never after `exp + grace`.
        pub lease_exp: i64 = number,
        /// When the token was made, by the authority's clock.
        pub iat: i64 = number,
        /// Whether the appliance may switch to offline mode.
        pub offline_mode: bool = flag,
        /// Most seconds that an appliance in offline mode holds.
        pub offline_secs: i64 = count,
        /// When offline mode must end; 0 where it is not allowed.
        pub offline_until: i64 = number,
        /// A newer bundle, for an appliance that cannot receive it otherwise.
        pub bundle: Option<String> = optional("a token", text),
    }
}

impl Lease {
    /// The payload of the token.
    pub fn to_json(&self) -> Value {
        let mut value = json!(self);
        if let (None, Some(members)) = (&self.bundle, value.as_object_mut()) {
            members.remove("bundle");
        }
        value
    }

    /// Reads a verified payload.
    ///
    /// # Errors
    /// Which member is missing or wrong.
    pub fn from_json(value: &Value) -> Result<Lease, Error> {
        Lease::read(&Fields::of(value)?)
    }
}

object! {
    /// Proof that an appliance returned its seconds: the payload of a `return-receipt` token.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Receipt {
        /// The 18-digit code.
        pub license: String = parsed("18 digits", license_code),
        /// The computer that returned them.
        pub computer_id: String = parsed("a UUID", computer_id),
        /// The [fingerprint](super::key::PublicKey::fingerprint) of its device key.
        pub device: Digest = digest,
        /// The request that it answers.
        pub req_id: RequestId = request_id,
        /// The epoch that the return closed; the next activation reports it to the authority.
        pub epoch: i64 = count,
        /// Seconds returned to the license.
        pub returned: i64 = count,
        /// When the token was made, by the authority's clock.
        pub iat: i64 = number,
    }
}

impl Receipt {
    /// Reads a verified payload.
    ///
    /// # Errors
    /// Which member is missing or wrong.
    pub fn from_json(value: &Value) -> Result<Receipt, Error> {
        Receipt::read(&Fields::of(value)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

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
        assert_eq!(Receipt::from_json(&json!(receipt)), Ok(receipt));
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
