//! `reset`: what the console's "Reset security" does, whether or not the daemon runs.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::config::{Api, Config};
use crate::log::Log;
use crate::management::client;
use crate::security::{Actor, SecuritySettings};

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    match reset(&config, Log::to_stderr()) {
        Ok(told) => print(&told),
        Err(fault) => {
            complain(fault);
            Exit::Failed
        }
    }
}

/// Resets security, for the console too; what was done, or why not, for the person. Without a daemon
/// `log` gets the record.
pub(crate) fn reset(config: &Config, log: Log) -> Result<String, String> {
    match online(config) {
        Err(client::Error::NotRunning) => offline(config, log),
        Err(client::Error::Failed(fault)) => Err(fault),
        Ok(certificate) => Ok(certificate),
    }
    .map(|certificate| told(config.api, &certificate))
    .map_err(|fault| format!("security was not reset: {fault}"))
}

/// Lets the daemon do it; returns which certificate serves now.
fn online(config: &Config) -> Result<String, client::Error> {
    let socket = config.control_socket();
    let security = if config.api.v1 { "/v1/security" } else { "/v2/security" };
    let reply = client::request(&socket, "DELETE", &format!("{security}/reset"))?;
    if reply.status != 200 {
        return Err(client::Error::Failed(reply.error_message()));
    }
    let now = client::request(&socket, "GET", &format!("{security}/sslcertificate"))?;
    let member = |name: &str| now.body[name].as_str().unwrap_or("unknown").to_owned();
    Ok(certificate(&member("subject"), &member("sha256")))
}

/// Does it itself; the lock on the state folder keeps a daemon that starts just now away.
fn offline(config: &Config, log: Log) -> Result<String, String> {
    let settings = SecuritySettings::open(&config.state_dir, config.api, log)
        .map_err(|error| error.to_string())?;
    settings.reset(&Actor::Local).map_err(|error| error.to_string())?;
    let identity = settings.identity().snapshot();
    Ok(certificate(&identity.summary.subject, &identity.summary.sha256))
}

fn certificate(subject: &str, sha256: &str) -> String {
    format!("{subject}, SHA-256 {sha256}")
}

fn told(api: Api, certificate: &str) -> String {
    let password = match api {
        Api { v2: true, .. } => {
            "The admin password is unset; what always asks for one takes admin:admin."
        }
        _ => "The admin password is unset.",
    };
    format!(
        "Security was reset.\n{password}\nPlain HTTP is on.\n\
         Uploaded certificates are removed; the default certificate serves now: {certificate}."
    )
}
