//! The vendor's side: sells licenses, grants their seconds to appliances, and accounts for them.
//!
//! In: the program `license-authority`. `cli` is its commands; `server` is the HTTP server and `metrics` what it
//! counts; `service` opens one request and seals the answer; `accounting` moves the seconds of one `license`, whose
//! `balance` holds them, and of one `seat`; `idle_seats` frees seats of appliances that went silent.
//! `licenses` makes each change one step of a `database`, together with its line in the `audit` log and the
//! `totals` of all licenses; `records` are its texts. `clock` tells whether the time may
//! be believed; `rate_limit` slows the guessing of codes down; `keyring` makes
//! and rotates keys; `backup`, `copy` and `upgrade` move everything from one place to another.
//! Out: the formats both sides share ([`crate::license`]). Nothing here is part of the appliance.
//!
//! | file in `--dir` | holds |
//! | --- | --- |
//! | `root.key` | the key that signs bundles; only `init` and `rotate` need it |
//! | `trust.json` | the public keys, for the appliance's image |
//! | `records` | keys and licenses, unless they are on etcd; see `database/files` |
//! | `serve.lock` | held by the running `serve` |
//! | `serve.time` | the newest time that `serve` has seen, see `clock` |
//! | `serve.check` | empty: written by `/healthz`, to see that the disk can be written |

pub(crate) mod cli;

mod clock;

mod server;

mod service;

mod metrics;

mod rate_limit;

pub(crate) mod accounting;

pub(crate) mod license;

mod balance;

mod replay_ids;

mod keyring;

mod audit;

mod archive;

mod backup;

mod record_file;

mod copy;

mod upgrade;

pub(crate) mod accounts;

mod database;

mod idle_seats;

mod licenses;

mod records;

mod seat;

mod totals;

#[cfg(test)]
pub(crate) mod model;
