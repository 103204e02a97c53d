//! The vendor's side: sells licenses, grants their seconds to appliances, and keeps the books.
//!
//! In: the program `license-authority`. `cli` is its commands; `serve` answers appliances over HTTP,
//! `desk` one question; `handle` moves the seconds of one `license`; `book` keeps licenses on disk, each
//! in a file of its own with a `journal`; `keyring` makes and rotates keys.
//! Out: the formats both sides share ([`crate::license`]). Nothing here is part of the appliance.
//!
//! | file in `--dir` | holds |
//! | --- | --- |
//! | `keys.json` | issuer and request keys, the bundle, what was done to them last |
//! | `root.key` | the key that signs bundles; only `init` and `rotate` need it |
//! | `trust.json` | what the image of the appliance gets |
//! | `audit.log` | what was done to keys, each line bound to the one before |
//! | `licenses/NNN/CODE.json` | one license; NNN are the last three digits of its code |
//! | `licenses/NNN/CODE.log` | what was done to it, each line bound to the one before |
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
