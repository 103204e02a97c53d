//! The status of the appliance, from the running daemon where there is one, otherwise from its files.

use serde_json::Value;

use crate::config::Config;
use crate::diagnosis::status;
use crate::management::client;

/// The status as one JSON object.
pub(crate) fn read(config: &Config) -> Result<Value, String> {
    let socket = config.control_socket();
    let generation = if config.api.v1 { "/v1" } else { "/v2" };
    let asked = status::of_daemon(config, |resource| {
        let reply = client::request(&socket, "GET", &format!("{generation}/{resource}"))?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(client::Error::Failed(reply.error_message())),
        }
    });
    match asked {
        Err(client::Error::NotRunning) => Ok(status::of_files(config)),
        Err(client::Error::Failed(error)) => Err(error),
        Ok(status) => Ok(status),
    }
}
