//! Resets security, whether or not the daemon runs.

use std::time::{Duration, SystemTime};

use crate::config::{Api, Config};
use crate::log::Log;
use crate::management::client;
use crate::security::{Actor, SecuritySettings};

/// Making a key takes up to some seconds, and many times that on an emulated machine.
const NEW_CERTIFICATE_TIMEOUT: Duration = Duration::from_secs(60);

/// Resets security, and makes the default certificate anew if `new_certificate`; returns what was done. Without a daemon `log` gets the record.
pub(crate) fn reset(config: &Config, new_certificate: bool, log: Log) -> Result<String, String> {
    match online(config, new_certificate) {
        Err(client::Error::NotRunning) => offline(config, new_certificate, log),
        Err(client::Error::Failed(error)) => Err(error),
        Ok(certificate) => Ok(certificate),
    }
    .map(|certificate| summary(config.api, &certificate))
    .map_err(|error| format!("security was not reset: {error}"))
}

/// Asks the daemon to reset; returns the certificate in use.
fn online(config: &Config, new_certificate: bool) -> Result<String, client::Error> {
    let socket = config.control_socket();
    let security = if config.api.v1 { "/v1/security" } else { "/v2/security" };
    let reply = client::request(&socket, "DELETE", &format!("{security}/reset"))?;
    if reply.status != 200 {
        return Err(client::Error::Failed(reply.error_message()));
    }
    if new_certificate {
        let target = format!("{security}/sslcertificate/default");
        let body = (client::JSON, &b""[..]);
        let reply = client::send(&socket, "POST", &target, body, NEW_CERTIFICATE_TIMEOUT)?;
        if reply.status != 200 {
            return Err(client::Error::Failed(reply.error_message()));
        }
    }
    let now = client::request(&socket, "GET", &format!("{security}/sslcertificate"))?;
    let member = |name: &str| now.body[name].as_str().unwrap_or("unknown").to_owned();
    Ok(certificate(&member("subject"), &member("sha256")))
}

/// Resets the state files; the lock on the state folder keeps a starting daemon away.
fn offline(config: &Config, new_certificate: bool, log: Log) -> Result<String, String> {
    let settings = SecuritySettings::open(&config.state_dir, config.api, log);
    let settings = settings.map_err(|error| error.to_string())?;
    settings.reset(&Actor::Local).map_err(|error| error.to_string())?;
    if new_certificate {
        let made = settings.renew_default(&Actor::Local, SystemTime::now());
        made.map_err(|error| error.to_string())?;
    }
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
        "Security was reset.\n{password}\nThe job token is removed, so speech is open.\nPlain HTTP is on.\n\
         Uploaded certificates are removed, and so is ACME; the default certificate is in use: {certificate}."
    )
}
