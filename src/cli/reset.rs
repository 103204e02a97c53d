//! `reset`: what the console's "Reset security" does, whether or not the daemon runs.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::config::{Api, Config};
use crate::log::Log;
use crate::management::client::{self, Failure};
use crate::security::{Actor, Fault, Keeper};

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    let certificate = match online(&config) {
        Err(Failure::NotRunning) => offline(&config),
        Err(Failure::Broken(fault)) => Err(fault),
        Ok(certificate) => Ok(certificate),
    };
    match certificate {
        Ok(certificate) => print(&told(config.api, &certificate)),
        Err(fault) => {
            complain(format_args!("security was not reset: {fault}"));
            Exit::Failed
        }
    }
}

/// Lets the daemon do it; returns which certificate serves now.
fn online(config: &Config) -> Result<String, Failure> {
    let socket = config.control_socket();
    let security = if config.api.v1 { "/v1/security" } else { "/v2/security" };
    let reply = client::ask(&socket, "DELETE", &format!("{security}/reset"))?;
    if reply.status != 200 {
        return Err(Failure::Broken(reply.complaint()));
    }
    let now = client::ask(&socket, "GET", &format!("{security}/sslcertificate"))?;
    let member = |name: &str| now.body[name].as_str().unwrap_or("unknown").to_owned();
    Ok(certificate(&member("subject"), &member("sha256")))
}

/// Does it itself; the lock on the state folder keeps a daemon that starts just now away.
fn offline(config: &Config) -> Result<String, String> {
    let keeper = Keeper::open(&config.state_dir, config.api, Log::to_stderr())?;
    keeper.reset(&Actor::Local).map_err(|fault| match fault {
        Fault::Refused(told) | Fault::Failed(told) => told,
    })?;
    let identity = keeper.identity().snapshot();
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
