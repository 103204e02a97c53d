//! The vendor's side: sells licenses, grants their seconds to appliances, and accounts for them.
//!
//! In: the program `license-authority`. `cli` is its commands; `server` is the HTTP server; `service`
//! opens one request and seals the answer; `accounting` moves the seconds of one `license`, whose
//! `balance` holds them; `license_store` keeps each license in a file with an `audit_log`; `rate_limit`
//! slows the guessing of codes down; `keyring` makes and rotates keys.
//! Out: the formats both sides share ([`crate::license`]). Nothing here is part of the appliance.
//!
//! | file in `--dir` | holds |
//! | --- | --- |
//! | `keys.json` | issuer and request keys, the bundle, the newest line of the audit log |
//! | `root.key` | the key that signs bundles; only `init` and `rotate` need it |
//! | `trust.json` | the public keys, for the appliance's image |
//! | `audit.log` | what was done to keys; each line holds the hash of the line before |
//! | `licenses/NNN/CODE.json` | one license; NNN are the last three digits of its code |
//! | `licenses/NNN/CODE.log` | what was done to it; each line holds the hash of the line before |
//! | `serve.lock` | held by the running `serve` |

pub(crate) mod cli;

mod server;

mod service;

mod rate_limit;

pub(crate) mod accounting;

pub(crate) mod license;

mod balance;

mod replay_ids;

mod license_json;

mod license_store;

mod keyring;

mod audit_log;

#[cfg(test)]
pub(crate) mod model;
