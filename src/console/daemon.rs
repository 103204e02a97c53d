//! What the console asks of the daemon, and its refusals in words for who stands at the screen.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::management::client::{self, Reply};

/// What a look may take; the license waits 2 s for a sign of life of its service.
const LOOK: Duration = Duration::from_secs(10);

/// What a change may take: a password hash takes a quarter of a second, and many times that on a machine
/// that is emulated.
const CHANGE: Duration = Duration::from_secs(40);

/// What a call may take that waits for the license service: the daemon gives up after 75 s itself.
const LICENSE_SERVICE: Duration = Duration::from_secs(80);

/// The daemon behind `control.sock`.
#[derive(Clone, Copy)]
pub(super) struct Daemon<'a> {
    config: &'a Config,
}

/// Why there is nothing to show; its sentences are for the person.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It does not run.
    NotRunning,
    /// It runs and can't be asked, or refused.
    Refused(String),
}

impl<'a> Daemon<'a> {
    pub(super) fn new(config: &'a Config) -> Daemon<'a> {
        Daemon { config }
    }

    pub(super) fn runs(self) -> bool {
        self.read("security/insecureports").is_ok()
    }

    pub(super) fn read(self, resource: &str) -> Result<Value, Trouble> {
        self.call("GET", resource, &Value::Null, LOOK)
    }

    pub(super) fn delete(self, resource: &str) -> Result<Value, Trouble> {
        self.call("DELETE", resource, &Value::Null, CHANGE)
    }

    pub(super) fn post(self, resource: &str, body: &Value) -> Result<Value, Trouble> {
        self.call("POST", resource, body, CHANGE)
    }

    /// A call that may wait for the license service.
    pub(super) fn call_authority(
        self,
        method: &str,
        resource: &str,
        body: &Value,
    ) -> Result<Value, Trouble> {
        self.call(method, resource, body, LICENSE_SERVICE)
    }

    fn call(
        self,
        method: &str,
        resource: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<Value, Trouble> {
        // The generation with the plain error texts, where it is mounted.
        let generation = if self.config.api.v2 { "v2" } else { "v1" };
        let body = Zeroizing::new(if body.is_null() { String::new() } else { body.to_string() });
        let asked = client::send(
            &self.config.control_socket(),
            method,
            &format!("/{generation}/{resource}"),
            body.as_bytes(),
            patience,
        );
        match asked {
            Ok(Reply { status: 200, body }) => Ok(body),
            Ok(Reply { body: Value::Null, .. }) => {
                Err(Trouble::Refused("The daemon broke off; it may be stopping.".to_owned()))
            }
            Ok(reply) => Err(Trouble::Refused(refusal(&reply))),
            Err(client::Error::NotRunning) => Err(Trouble::NotRunning),
            Err(client::Error::Failed(fault)) => {
                Err(Trouble::Refused(format!("The daemon could not be asked: {fault}.")))
            }
        }
    }

    /// Runs the restart command of the settings; the first generation alone has a call for it.
    pub(super) fn restart_services(self) -> Result<(), Trouble> {
        let v1 = Config { api: crate::config::Api { v1: true, v2: false }, ..self.config.clone() };
        Daemon { config: &v1 }.delete("management/services").map(drop)
    }
}

impl Trouble {
    pub(super) fn sentence(&self) -> &str {
        match self {
            Trouble::NotRunning => "The daemon is not running, so nothing was done.",
            Trouble::Refused(sentence) => sentence,
        }
    }
}

/// A refusal of the license has a hint, which says more than the manual's text; support asks for that.
fn refusal(reply: &Reply) -> String {
    let member = |name: &str| reply.body[name].as_str().filter(|text| !text.is_empty());
    let error = reply.error_message();
    let error = details(&error);
    match (member("reason"), member("hint")) {
        (Some("bad_request"), _) => {
            sentence(&plain(error.strip_prefix("Input exception: ").unwrap_or(error)))
        }
        (Some(reason), Some(hint)) => {
            format!("{}\nFor support: {error} ({reason})", sentence(&plain(hint)))
        }
        _ => sentence(&plain(error)),
    }
}

/// What the first generation wraps in the plumbing of the original.
fn details(error: &str) -> &str {
    error
        .split_once("details = \"")
        .and_then(|(_, rest)| rest.split_once("\"\n"))
        .map_or(error, |(details, _)| details)
}

/// Entries of the menu in place of the calls that the daemon names, and no numbers of the system.
pub(super) fn plain(text: &str) -> String {
    let text = match text.split_once(" (os error ") {
        Some((before, rest)) => {
            format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after))
        }
        None => text.to_owned(),
    };
    [
        ("POST license/offlinemode {\"offline\": false}", "\"Go online\""),
        ("POST license/offlineactivation", "\"Make an activation certificate\""),
        ("POST license/network", "\"Proxy\""),
        ("DELETE license", "\"Return the license\""),
        ("POST license", "\"Apply a license\""),
        ("apply that with PUT", "apply that with \"Apply a license certificate\""),
        ("post the license code again", "apply the license code again"),
    ]
    .iter()
    .fold(text, |text, (call, entry)| text.replace(call, entry))
}

/// Begins with a capital and ends with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::refusal;
    use crate::management::client::Reply;

    #[test]
    fn a_refusal_says_what_to_do_in_the_words_of_the_menu() {
        let v1 = "Error happened in the license_management service: ModelException: Unknown Rpc Error. \
                  Status code=StatusCode.UNKNOWN: <_Rendezvous of RPC that terminated with:\n\tstatus = \
                  StatusCode.UNKNOWN\n\tdetails = \"Cannot remove license in offline mode\"\n>";
        for error in [v1, "Cannot remove license in offline mode"] {
            let body = json!({
                "error": error, "code": 13, "reason": "offline_mode",
                "hint": "leave offline mode with POST license/offlinemode {\"offline\": false} and wait",
            });
            assert_eq!(
                refusal(&Reply { status: 500, body }),
                "Leave offline mode with \"Go online\" and wait.\n\
                 For support: Cannot remove license in offline mode (offline_mode)"
            );
        }
    }

    #[test]
    fn what_was_typed_wrong_is_said_and_no_example_of_a_body() {
        let body = json!({
            "error": "Input exception: port is not a number from 1 to 65535", "code": 3,
            "reason": "bad_request", "hint": "nothing was changed; send {…}",
        });
        let wanted = "Port is not a number from 1 to 65535.";
        assert_eq!(refusal(&Reply { status: 400, body }), wanted);
        let body = json!({"success": false, "message": "the password is empty"});
        assert_eq!(refusal(&Reply { status: 400, body }), "The password is empty.");
        let body = json!({"error": "x", "reason": "connect", "hint": "it can't be reached: refused (os error 111)"});
        let told = refusal(&Reply { status: 400, body });
        assert_eq!(told, "It can't be reached: refused.\nFor support: x (connect)");
        let nothing = refusal(&Reply { status: 503, body: json!({}) });
        assert_eq!(nothing, "The daemon answered with status 503.");
    }
}
