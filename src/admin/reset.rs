//! Resets security, whether or not the daemon runs.

use crate::config::{Api, Config};
use crate::log::Log;
use crate::management::client;
use crate::security::{Actor, SecuritySettings};

/// Resets security; returns what was done. Without a daemon `log` gets the record.
pub(crate) fn reset(config: &Config, log: Log) -> Result<String, String> {
    match online(config) {
        Err(client::Error::NotRunning) => offline(config, log),
        Err(client::Error::Failed(error)) => Err(error),
        Ok(certificate) => Ok(certificate),
    }
    .map(|certificate| summary(config.api, &certificate))
    .map_err(|error| format!("security was not reset: {error}"))
}

/// Asks the daemon to reset; returns the certificate in use.
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

/// Resets the state files; the lock on the state folder keeps a starting daemon away.
fn offline(config: &Config, log: Log) -> Result<String, String> {
    let settings = SecuritySettings::open(&config.state_dir, config.api, log);
    let settings = settings.map_err(|error| error.to_string())?;
    settings.reset(&Actor::Local).map_err(|error| error.to_string())?;
    let identity = settings.identity().snapshot();
    Ok(certificate(&identity.summary.subject, &identity.summary.sha256))
}

fn certificate(subject: &str, sha256: &str) -> String {
    format!("{subject}, SHA-256 {sha256}")
}

fn summary(api: Api, certificate: &str) -> String {
    let password = match api {
        Api { v2: true, .. } => {
            "The admin password is unset; where one is always required, admin:admin is accepted."
        }
        _ => "The admin password is unset.",
    };
    format!(
        "Security was reset.\n{password}\nPlain HTTP is on.\n\
         Uploaded certificates are removed; the default certificate is in use: {certificate}."
    )
}
