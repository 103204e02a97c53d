//! What the administrator may change: the certificate, the password, the job token, plain HTTP; and their reset.
//!
//! In: the values the gate reads for every request ([`Rules`], [`Identity`], [`Challenges`]), and [`SecuritySettings`],
//! which alone changes them: written to disk first, published second, answered third.
//! Out: which client may ask (the gate's policy), the form of the answer (management), how files are
//! replaced ([`crate::store`]).
//!
//! Every change has exactly one commit point, a rename; after a crash at any moment either the old setting
//! or the new one is in force, whole. A damaged file is never read as "no restriction": the appliance
//! starts with the safe choice and logs how to repair it.
//!
//! | file | holds | commit point of |
//! | --- | --- | --- |
//! | `tls/default.pem` | the certificate made at the first start | that |
//! | `tls/uploaded.pem` | chain and key in one, so one rename swaps both | certificate upload |
//! | `tls/request.pem` | a key made here and the request for its certificate | certificate request |
//! | `acme.json` | the authority that issues the certificate, the account there, the order | ACME |
//! | `admin.htpasswd` | the password's bcrypt line | setting the password |
//! | `job-token.json` | the digest of the job token | setting the job token |
//! | `security.json` | plain HTTP, authentication, files still to discard | everything else |

mod acme;

mod addresses;

mod bcrypt_yielding;

mod certificate;

mod certificate_request;

mod chain;

mod default_certificate;

mod expiry;

mod files;

#[cfg(fuzzing)]
pub mod fuzz;

mod inspect;

mod job_token;

mod names;

mod distinguished_name;

mod password;

mod pem;

mod public_key;

mod settings;

mod settings_file;

mod spelling;

mod summary;

mod warnings;

use certificate_request::PendingRequest;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use acme::{AcmeProxy, AcmeRecord, AcmeWorker, Challenges, is_urgent};
#[cfg(test)]
pub(crate) use acme::{AlpnChallenge, HttpChallenge};
pub(crate) use addresses::of_this_machine as addresses_of_this_machine;
pub(crate) use certificate::PKCS12;
pub(crate) use certificate_request::{KeyType, PublicRequest, Wanted};
pub(crate) use expiry::{ExpiryReminder, urgent_expiry};
pub(crate) use inspect::inspect;
pub(crate) use job_token::{JobToken, warning as job_token_warning};
pub(crate) use password::PasswordHash;
pub(crate) use pem::write_certificates;
pub(crate) use settings::{Applied, SecuritySettings};
pub(crate) use spelling::spelling;
pub(crate) use summary::{Source, Summary};

/// The access rules in force, as one value, which the gate reads per request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether requests over plain HTTP are served at all.
    pub(crate) plain_http: bool,
    /// The password that clients need.
    pub(crate) password: Password,
    /// The token that clients of the speech API need.
    pub(crate) job_token: JobToken,
}

/// The state of the administrator's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// No password is set: v1 paths are open, v2 paths take `admin`:`admin`.
    Unset,
    /// Authentication is switched off (v2 alone).
    Off,
    /// The file is damaged: no network login works until it is reset on the console.
    Locked,
    /// A password is set.
    Set(PasswordHash),
}

impl Password {
    /// One word for a status line: `set`, `unset`, `off` or `locked`.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Password::Unset => "unset",
            Password::Off => "off",
            Password::Locked => "locked",
            Password::Set(_) => "set",
        }
    }
}

/// The certificate in use, with its key in rustls' form; the two are known to match.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Presented and signed with in TLS handshakes.
    pub(crate) certified: Arc<rustls::sign::CertifiedKey>,
    /// What the API tells about it.
    pub(crate) summary: Summary,
}

/// The client that requested a change, for the security log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A process that may open the control socket or the state folder: console, scripts, root.
    Local,
    /// A client that the gate authorized.
    Remote(IpAddr),
    /// The daemon itself, with a certificate of an ACME authority.
    Acme,
}

impl Actor {
    /// Its address, if it is on the network.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Actor::Remote(address) => Some(*address),
            Actor::Local | Actor::Acme => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Local => f.write_str("the local administrator"),
            Actor::Acme => f.write_str("ACME"),
            Actor::Remote(address) => write!(f, "a client at {}", address.to_canonical()),
        }
    }
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The input is invalid and nothing has changed: what is wrong and what to do (400).
    Invalid(String),
    /// The change would destroy what another one left to be finished: what to do first (409).
    Conflict(String),
    /// The change could not be saved, and what the disk holds stays in force (500); it is logged
    /// already.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(sentence) | Error::Conflict(sentence) | Error::Failed(sentence) => {
                f.write_str(sentence)
            }
        }
    }
}

impl std::error::Error for Error {}
