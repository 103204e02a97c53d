//! The answer of the authority: the outcome of a request, and why it was refused.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::LONGEST_TEXT;
use crate::license::protocol::fields::{Error, Fields, text};
use crate::license::protocol::hex::RequestId;
use crate::util::words::words;

words! {
    /// The outcome of a request.
    pub enum Kind {
        /// `token` is a lease. After [`Op::Activate`](super::Op::Activate) it starts an epoch with nothing
        /// consumed.
        Lease = "lease",
        /// The accounts did not match; `token` is a lease that starts a new epoch with nothing consumed, and
        /// the outstanding seconds of the old one are charged.
        Reset = "reset",
        /// `returned` seconds were returned; `token` is a return receipt.
        Returned = "returned",
        /// Refused for `reason`; nothing changed.
        Denied = "denied",
        /// This request was answered long ago, and later ones after it; nothing changed. Send a new one
        /// instead.
        Stale = "stale",
        /// The answer to a probe.
        Probe = "probe",
    }
}

words! {
    /// Why the authority refused: the stable word for programs.
    pub enum Denial {
        /// No such license, or not for this product.
        UnknownLicense = "unknown_license",
        /// Too many wrong codes from this address in the last hour.
        TooManyTries = "too_many_tries",
        /// The license is suspended; it may be resumed.
        Suspended = "license_suspended",
        /// The license is revoked for good.
        Revoked = "license_revoked",
        /// The subscription and its grace have ended; it may be extended.
        Expired = "subscription_expired",
        /// All seats are taken.
        ActivationsExceeded = "activations_exceeded",
        /// Another appliance took over this one's seat, or this one is a copy.
        Duplicate = "duplicate_device",
        /// This computer took over its seat too often recently.
        TooManyTakeovers = "too_many_takeovers",
        /// The license does not allow offline mode.
        OfflineNotAllowed = "offline_not_allowed",
        /// The totals of an offline renewal are lower than those already known.
        WentBack = "totals_went_back",
        /// The authority cannot answer now. The only refusal after which the request is kept and sent again
        /// unchanged, because it may have been carried out.
        Unavailable = "authority_unavailable",
    }
}

impl Denial {
    /// The status number that goes with it (MA-21); 0 for none.
    pub fn code(self) -> i64 {
        match self {
            Denial::UnknownLicense | Denial::TooManyTries => -50,
            Denial::Suspended | Denial::Revoked => -114,
            Denial::Expired => -116,
            Denial::ActivationsExceeded => -115,
            Denial::Duplicate | Denial::TooManyTakeovers | Denial::WentBack => -117,
            Denial::OfflineNotAllowed => -3,
            Denial::Unavailable => 0,
        }
    }

    /// What is wrong and what to do, for the administrator of the appliance.
    pub fn message(self) -> &'static str {
        match self {
            Denial::UnknownLicense => {
                "the license authority does not know this license code for this product: check its digits"
            }
            Denial::TooManyTries => "too many wrong license codes: wait an hour and try again",
            Denial::Suspended => "the license is suspended: ask your vendor",
            Denial::Revoked => "the license has been revoked: ask your vendor",
            Denial::Expired => "the subscription has expired: ask your vendor to extend it",
            Denial::ActivationsExceeded => {
                "all activations of this license are in use: remove the license from another appliance first"
            }
            Denial::Duplicate => {
                "another appliance uses this activation: apply the license again on the one that should have it"
            }
            Denial::TooManyTakeovers => {
                "the seat of this computer was taken over too often within 30 days: ask your vendor to release it"
            }
            Denial::OfflineNotAllowed => "Offline mode not enabled for this license",
            Denial::WentBack => {
                "the reported usage is lower than the usage already known: restore the newer state, or ask your vendor"
            }
            Denial::Unavailable => "the license authority cannot answer now: try again later",
        }
    }
}

/// An answer: the plain text inside the seal.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The request that it answers.
    pub req_id: RequestId,
    /// The authority's clock, in seconds since 1970; no other clock of the network is trusted.
    pub server_time: i64,
    /// The outcome.
    pub kind: Kind,
    /// A lease or a receipt; must be verified before use.
    pub token: Option<String>,
    /// Seconds returned to the license; 0 unless [`Kind::Returned`].
    pub returned: i64,
    /// A bundle newer than the appliance's.
    pub bundle: Option<String>,
    /// The reason of [`Kind::Denied`]; `None` if only a later release knows the reason.
    pub denial: Option<Denial>,
    /// Status number that goes with a refusal (MA-21), 0 otherwise.
    pub code: i64,
    /// For the administrator; may be empty.
    pub message: String,
}

/// Shows no token, because tokens contain license codes.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { req_id, kind, code, .. } = self;
        write!(f, "Answer({} {req_id} code {code})", kind.name())
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(out)
    }
}

impl Answer {
    /// An answer with nothing but its kind.
    pub fn plain(req_id: RequestId, server_time: i64, kind: Kind) -> Answer {
        Answer {
            req_id,
            server_time,
            kind,
            token: None,
            returned: 0,
            bundle: None,
            denial: None,
            code: 0,
            message: String::new(),
        }
    }

    /// A refusal with its number and message.
    pub fn denied(req_id: RequestId, server_time: i64, denial: Denial) -> Answer {
        Answer {
            denial: Some(denial),
            code: denial.code(),
            message: denial.message().to_owned(),
            ..Answer::plain(req_id, server_time, Kind::Denied)
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "ok": !matches!(self.kind, Kind::Denied | Kind::Stale),
            "req_id": self.req_id.to_string(),
            "server_time": self.server_time,
            "kind": self.kind.name(),
            "token": self.token,
            "returned": self.returned,
            "bundle": self.bundle,
            "code": self.code,
            "reason": self.denial.map_or("", Denial::name),
            "message": self.message,
        })
    }

    pub(crate) fn from_json(value: &Value) -> Result<Answer, Error> {
        Answer::read(&Fields::of(value)?)
    }

    pub(crate) fn read(fields: &Fields<'_>) -> Result<Answer, Error> {
        let reason = fields.text("reason", LONGEST_TEXT)?;
        Ok(Answer {
            req_id: fields.request_id("req_id")?,
            server_time: fields.number("server_time")?,
            kind: fields.parsed("kind", "a known kind of answer", Kind::parse)?,
            token: fields.optional("token", "a text", text)?,
            returned: fields.count("returned")?,
            bundle: fields.optional("bundle", "a text", text)?,
            denial: Denial::parse(&reason),
            code: fields.number("code")?,
            message: fields.text("message", 4 * LONGEST_TEXT)?,
        })
    }
}
