//! The management API, on a Unix socket: whoever may open `run_dir/control.sock` is the administrator.
//! Beside it `run_dir/usage.sock`, on which the speech engine counts seconds and can do nothing else.
//!
//! In: the table of paths and methods, one file per resource, and the only place that knows
//! tiny_http (`server`). Handlers are functions of a `request::Request` to an `answer::Answer`
//! and never see a socket. Out: passwords, TLS and addresses on the network. The gate has judged a
//! request before it comes here, and says who asked in `X-Forwarded-For` and how in
//! `X-Forwarded-Proto`; a request without them was made on this machine. What is in memory the gate may
//! ask for without the socket (`at_once`).

use std::sync::Arc;

use crate::attendant::Attendant;
use crate::config::Config;
use crate::log::Log;
use crate::monitor::Monitor;
use crate::security::Keeper;

pub mod client;

mod answer;
mod at_once;
mod commands;
mod cpu_info;
mod docs;
mod free_storage;
mod health;
mod host;
mod html;
mod license;
mod logs;
mod mem_info;
mod monitoring;
mod page;
mod ping;
mod power;
mod query;
mod request;
mod resource;
mod restart;
mod security;
mod server;
mod services;
mod socket;
mod table;
mod usage;

pub use at_once::{AtOnce, Given, Question, at_once};
pub use commands::Turns;
pub(crate) use security::certificate::describe as describe_certificate;
#[cfg(fuzzing)]
pub use security::fuzz;
pub use server::{Handle, start, start_usage};
pub(crate) use services::states as service_states;

/// Largest body of a request in bytes; certificates and keys have a few thousand.
pub const LARGEST_BODY: usize = 1 << 20;

/// What handlers work with.
#[derive(Clone)]
pub struct Context {
    /// The settings.
    pub config: Arc<Config>,
    /// Keeper of certificate, password and plain HTTP.
    pub keeper: Arc<Keeper>,
    /// The worker that owns the license.
    pub license: crate::license::Handle,
    /// Where operations and security events are written.
    pub log: Log,
    /// What the machine does at the moment.
    pub monitor: Arc<Monitor>,
    /// Who runs the configured commands.
    pub attendant: Arc<Attendant>,
    /// Which of them are under way.
    pub turns: Arc<Turns>,
}
