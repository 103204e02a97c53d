//! The management API, on a Unix socket: a client that may open `run_dir/control.sock` is the administrator.
//! Beside it `run_dir/usage.sock`, on which the speech engine counts seconds and can do nothing else.
//!
//! In: the table of paths and methods, one file per resource, and the only place that knows
//! tiny_http (`server`). Handlers are functions of a `request::Request` to a `response::Response`
//! and never see a socket. Out: passwords, TLS and network addresses. The gate authorizes a request from the
//! network and calls the same table without a socket (`network`).

use std::sync::Arc;

use crate::config::Config;
use crate::helper::CommandHelper;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::network::NetworkSettings;
use crate::security::{AcmeWorker, SecuritySettings};

pub(crate) mod client;

mod api;
mod network;
mod server;
mod web;
pub(crate) use crate::management::api::commands::RunningCommands;
use crate::management::api::readiness::Readiness;
pub(crate) use crate::management::api::request::{Method, Request};
#[cfg(fuzzing)]
pub use crate::management::api::security::fuzz;
pub(crate) use crate::management::network::{Call, NetworkApi, NetworkResponse};
pub(crate) use server::{start, start_usage};

/// Largest body of a request in bytes; certificates and keys have a few thousand.
pub(crate) const LARGEST_BODY: usize = 1 << 20;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Context {
    /// The settings.
    pub(crate) config: Arc<Config>,
    /// Certificate, password and plain HTTP.
    pub(crate) security: Arc<SecuritySettings>,
    /// Fetches the certificate, while ACME is on.
    pub(crate) acme: Arc<AcmeWorker>,
    /// The worker that owns the license.
    pub(crate) license: crate::license::Handle,
    /// The log.
    pub(crate) log: Log,
    /// Readings of the machine's state.
    pub(crate) monitor: Arc<Monitor>,
    /// What the gate has counted.
    pub(crate) metrics: Arc<Metrics>,
    /// What was found lately about the services.
    pub(crate) readiness: Arc<Readiness>,
    /// Runs the configured commands.
    pub(crate) helper: Arc<CommandHelper>,
    /// The network of the machine, if there is a command for it.
    pub(crate) network: Option<Arc<NetworkSettings>>,
    /// The commands that are running or scheduled.
    pub(crate) running: Arc<RunningCommands>,
}
