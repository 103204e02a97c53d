//! What the administrator may change: the certificate, the password, plain HTTP; and their reset.
//!
//! In: the values the gate reads for every request ([`Rules`], [`Identity`]) and the one keeper
//! that changes them ([`SecuritySettings`]): written to disk first, published second, answered third.
//! Out: who may ask (the gate's policy), how the answer looks (management), how files are replaced
//! ([`crate::store`]).
//!
//! Every change has exactly one commit point, a rename; a process killed anywhere comes back with
//! the old setting or the new one, whole. What is damaged is never read as "no restriction": the
//! appliance starts on the safe side and says how to mend it.
//!
//! | file | holds | commit point of |
//! | --- | --- | --- |
//! | `tls/default.pem` | the certificate made at the first start | that |
//! | `tls/uploaded.pem` | chain and key in one, so one rename swaps both | certificate upload |
//! | `admin.htpasswd` | the password's bcrypt line | setting the password |
//! | `security.json` | plain HTTP, authentication, files still to discard | everything else |

mod addresses;

mod bcrypt_yielding;

mod certificate;

mod chain;

mod default_certificate;

mod files;

#[cfg(fuzzing)]
pub mod fuzz;

mod inspect;

mod names;

mod name;

mod password;

mod pem;

mod public_key;

mod settings;

mod settings_file;

mod spelling;

mod summary;

mod warnings;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use addresses::of_this_machine as addresses_of_this_machine;
pub(crate) use inspect::inspect;
pub(crate) use password::PasswordHash;
pub(crate) use settings::SecuritySettings;
pub(crate) use spelling::spelling;
pub(crate) use summary::{Source, Summary};

/// The access rules in force, as one value: what the gate reads per request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether requests over plain HTTP are served at all.
    pub(crate) plain_http: bool,
    /// What a client has to know.
    pub(crate) password: Password,
}

/// What the administrator's password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// None set: v1 paths open, v2 paths `admin`:`admin`.
    Unset,
    /// Authentication switched off (v2 alone).
    Off,
    /// The file is damaged: nobody gets in from the network until it is reset on the console.
    Locked,
    /// PasswordState as a bcrypt hash.
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

/// The certificate in use, with its key in a form rustls signs with; the two are known to match.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// What the handshake presents and signs with.
    pub(crate) certified: Arc<rustls::sign::CertifiedKey>,
    /// What people are told about it.
    pub(crate) summary: Summary,
}

/// Who asked for a change, for the security log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Somebody who may open the control socket or the state folder: console, scripts, root.
    Local,
    /// A client the gate let through.
    Remote(IpAddr),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Local => f.write_str("the local administrator"),
            Actor::Remote(address) => write!(f, "a client at {}", address.to_canonical()),
        }
    }
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The input is at fault and nothing has changed: what is wrong and what to do, for the person (400).
    Invalid(String),
    /// The disk or we are at fault, and what the disk holds stays in force: for the person (500); the
    /// log has it already.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(sentence) | Error::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}
