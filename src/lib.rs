//! One static binary that gives a virtual appliance its front door and its license.
//!
//! This page is the architecture. The rules that the appliance must follow are in `manual`, the license
//! protocol is in `protocol`, the life of a connection is in `gate`.
//!
//! # Two flows
//!
//! ```text
//! data     network -> gate: listener -> connection -> request -> proxy -> upstream -> service
//!                                                        ^
//!                                                        | one snapshot a request, no lock during I/O
//! control  console, reset, status, curl -------> control.sock -> management -> security | license -> store
//!          speech engine ---------------------> usage.sock ----^                          |
//!                                                                                          +-> license authority
//! ```
//!
//! The flows meet in `util::published`: `security` and `license` publish immutable values, and the gate takes
//! a snapshot for each request. While a certificate authority validates the appliance's names (ACME, RFC 8555),
//! `security` publishes the challenges, and the gate answers them from memory. The gate calls the management API
//! directly (`management::network`); its sockets are for programs on this machine.
//!
//! # Rooms
//!
//! | room | is |
//! | --- | --- |
//! | `daemon` | start and stop of `applianced serve`, on one page |
//! | `config` | the settings file |
//! | `gate` | everything that the network reaches: TLS, policy, proxying, limits |
//! | `http` | HTTP/1.1 without I/O, for `gate` and `authority` |
//! | `security` | certificate, also by ACME (`acme`), admin password, plain HTTP, reset |
//! | `license` | `protocol` without I/O, `state`, `device`, `client` |
//! | `management` | the management API (`api`), its sockets (`server`), the page and OpenAPI (`web`) |
//! | `metrics` | what the gate counts, for `/metrics` |
//! | `network` | the network of the machine, tried before it is kept, by the image's command |
//! | `monitor` | `/proc` and `/sys` in the shape of the Glances API |
//! | `diagnosis` | what the appliance tells of itself: check, status, which services run |
//! | `store` | files that survive a power cut, and trust in them |
//! | `sandbox`, `helper` | what the daemon gives up after binding; the process that runs commands with those rights |
//! | `signals`, `log`, `util` | signals and file changes; the log; small tools |
//! | `cli`, `console`, `admin` | the command line, the menu, and what both do: status and reset |
//! | `authority` | the vendor's side, `license-authority` |
//!
//! Imports go one way; `scripts/imports` has the table, and `make check` holds it. `license::protocol` knows no
//! file, socket or clock, and `authority` knows nothing else of `license`.
//!
//! # Threads
//!
//! One event loop for each listener, with helpers when there are more processors and much to do. What must wait
//! (hashing a password, a slow connect, a change) runs on a thread of its own, at most
//! `gate::limits::BLOCKING_THREADS`. Each socket of the management API has one thread that receives requests, and
//! one for each request. One worker owns the license. While ACME is on, one fetches certificates;
//! while a change of the network is on trial, one waits for its end. One thread waits for
//! signals and file changes. What is off has no thread.
//!
//! # Files of state
//!
//! In `state_dir`, mode 0700, each replaced as a whole by a rename, checked for owner and mode before it is
//! trusted, and set aside with a message when damaged: `tls/default.pem`, `tls/uploaded.pem`, `tls/request.pem`,
//! `acme.json`, `admin.htpasswd`, `security.json`, `network.json`, `license.json`, `license-usage.log`, `license-network.json`,
//! `device.key`, `identity.json`.
//! `applianced(8)` tells what each holds and what happens without it.
//!
//! # Words
//!
//! - **appliance**: the virtual machine whose front door this is; **service**: a program behind the gate.
//! - **listener**: an address with what it serves (`all`, `speech`, `management`, …) and whether it speaks TLS.
//! - **area**: the part of the API that a path belongs to; it decides who must authenticate.
//! - **local response**: a response that the gate makes itself, without a service.
//! - **exchange**: one authorized request and its response, on the way through the proxy.
//! - **upstream**: a service as the gate connects to it; **idle pool**: connections that wait for a request.
//! - **trusted proxy**: a load balancer that is believed when it names the client for which it asks.
//! - **permit**: what a request, connection or thread holds of a **semaphore** while it is there.
//! - **eviction**: closing connections to make room; **penalty**: low priority after a refusal.
//! - **published value**: an immutable value that writers replace and readers take a snapshot of.
//! - **certificate authority**: who issues certificates; **order**, **challenge**, **account**: those of ACME (RFC 8555).
//! - **seat**: one appliance's part of a license; **takeover**: a seat that moves to another computer.
//! - **lease**: a signed grant of seconds until a date; **session**: a run of the engine that reserves seconds.
//! - **epoch**: a lineage of requests; a copy or a restored appliance begins a new one.
//! - **entitlement**: what the license allows at this moment.
//! - **certificate** (license): a sealed message that travels as text where there is no network.
//! - **trust file**: the root keys of the license authority that an image is built with.
//! - **device key**: the key that identifies an appliance; **computer id**: the machine that it runs on.

pub(crate) mod admin;
pub(crate) mod authority;
pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod daemon;
pub(crate) mod diagnosis;
pub(crate) mod gate;
pub(crate) mod helper;
pub(crate) mod http;
pub(crate) mod license;
pub(crate) mod log;
pub(crate) mod management;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod network;
pub(crate) mod sandbox;
pub(crate) mod security;
pub(crate) mod signals;
pub(crate) mod store;
pub(crate) mod util;

/// The rules of the appliance's manuals, numbered, in our own words. Code and tests cite them as `M1-…`
/// (version 1 of the API), `M2-…` (version 2), `ML-…` (licensing) and `MA-…` (facts from elsewhere).
#[doc = include_str!("manual.md")]
pub mod manual {}

use std::ffi::OsString;
use std::process::ExitCode;

/// What an appliance and its license authority say to each other, for whoever writes another side of it.
pub use license::protocol;

/// Runs `applianced` with the arguments after the program's name.
#[must_use]
pub fn appliance(arguments: Vec<OsString>) -> ExitCode {
    cli::run(arguments)
}

/// Runs `license-authority` with the arguments after the program's name.
#[must_use]
pub fn license_authority(arguments: Vec<OsString>) -> ExitCode {
    authority::cli::run(arguments)
}

/// What the fuzzers call: each function takes any bytes and panics if a rule of its own is broken.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::config::fuzz as config;
    pub use crate::gate::fuzz as gate;
    pub use crate::license::fuzz as license;
    pub use crate::management::fuzz as management;
    pub use crate::security::fuzz as security;
}
