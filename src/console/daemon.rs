//! Requests of the console to the daemon, and the daemon's errors in the words of the menu.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::Config;
pub(super) use crate::management::client::Error;
use crate::management::client::{self, Reply};

/// For a read; the license waits 2 s for an answer of its service.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// For a change; a password hash takes a quarter of a second, and many times that on an emulated machine.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(40);

/// For a change of the network: the daemon waits for three runs of the image's command, 30 s each.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(95);

/// For a call that waits for the license service; the daemon itself gives up after 75 s.
const LICENSE_TIMEOUT: Duration = Duration::from_secs(80);

/// The daemon behind `control.sock`.
#[derive(Clone, Copy)]
pub(super) struct Daemon<'a> {
    config: &'a Config,
}

impl<'a> Daemon<'a> {
    pub(super) fn new(config: &'a Config) -> Daemon<'a> {
        Daemon { config }
    }

    pub(super) fn runs(self) -> bool {
        self.read("security/insecureports").is_ok()
    }

    pub(super) fn read(self, resource: &str) -> Result<Value, Error> {
        self.call("GET", resource, &Value::Null, READ_TIMEOUT)
    }

    pub(super) fn delete(self, resource: &str) -> Result<Value, Error> {
        self.call("DELETE", resource, &Value::Null, CHANGE_TIMEOUT)
    }

    pub(super) fn post(self, resource: &str, body: &Value) -> Result<Value, Error> {
        self.call("POST", resource, body, CHANGE_TIMEOUT)
    }

    /// A change of the network, which waits for the image's command.
    pub(super) fn change_network(self, resource: &str, body: &Value) -> Result<Value, Error> {
        self.call("POST", resource, body, NETWORK_TIMEOUT)
    }

    /// A call that may wait for the license service.
    pub(super) fn call_license_service(
        self,
        method: &str,
        resource: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        self.call(method, resource, body, LICENSE_TIMEOUT)
    }

    fn call(
        self,
        method: &str,
        resource: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Value, Error> {
        let body = Zeroizing::new(if body.is_null() { String::new() } else { body.to_string() });
        self.send(method, resource, (client::JSON, body.as_bytes()), timeout)
    }

    /// Uploads a certificate in PEM; the daemon has its key.
    pub(super) fn upload_certificate(self, pem: &str) -> Result<Value, Error> {
        // Longer than any line of PEM, so that it can't be in one.
        let mark = "-".repeat(70);
        let body = Zeroizing::new(format!(
            "--{mark}\r\nContent-Disposition: form-data; name=\"certfile\"; filename=\"pasted\"\r\n\r\n\
             {pem}\r\n--{mark}--\r\n"
        ));
        let content_type = format!("multipart/form-data; boundary={mark}");
        let body = (content_type.as_str(), body.as_bytes());
        self.send("POST", "security/sslcertificate", body, CHANGE_TIMEOUT)
    }

    fn send(
        self,
        method: &str,
        resource: &str,
        body: (&str, &[u8]),
        timeout: Duration,
    ) -> Result<Value, Error> {
        // The generation with the plain error texts, where it is mounted.
        let generation = if self.config.api.v2 { "v2" } else { "v1" };
        let asked = client::send(
            &self.config.control_socket(),
            method,
            &format!("/{generation}/{resource}"),
            body,
            timeout,
        );
        match asked {
            Ok(Reply { status: 200, body }) => Ok(body),
            Ok(Reply { body: Value::Null, .. }) => Err(Error::Failed(
                "The daemon closed the connection; it may be stopping.".to_owned(),
            )),
            Ok(reply) => Err(Error::Failed(refusal(&reply))),
            Err(Error::NotRunning) => Err(Error::NotRunning),
            Err(Error::Failed(fault)) => {
                Err(Error::Failed(format!("The request to the daemon failed: {fault}.")))
            }
        }
    }

    /// The report for support, a zip.
    pub(super) fn report(self) -> Result<Vec<u8>, Error> {
        let generation = if self.config.api.v2 { "v2" } else { "v1" };
        let target = format!("/{generation}/management/logs/zip");
        let (socket, nothing) = (self.config.control_socket(), (client::JSON, &b""[..]));
        match client::fetch(&socket, "GET", &target, nothing, CHANGE_TIMEOUT)? {
            (200, zip) => Ok(zip),
            (status, _) => Err(Error::Failed(format!("The daemon answered with status {status}."))),
        }
    }

    /// Runs the restart command of the settings; the first generation alone has a call for it.
    pub(super) fn restart_services(self) -> Result<(), Error> {
        let v1 = Config { api: crate::config::Api { v1: true, v2: false }, ..self.config.clone() };
        Daemon { config: &v1 }.delete("management/services").map(drop)
    }
}

/// The message of an error answer. An error of the license has a hint, which says more than the fixed
/// text (ML-31 to ML-39); support needs both.
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

/// The message that the first generation wraps in gRPC details.
fn details(error: &str) -> &str {
    error
        .split_once("details = \"")
        .and_then(|(_, rest)| rest.split_once("\"\n"))
        .map_or(error, |(details, _)| details)
}

/// Replaces the API calls that the daemon names by entries of the menu, and drops error numbers.
pub(super) fn plain(text: &str) -> String {
    // What to send is of no use to who types answers.
    let text = text.split_once("; send {").map_or(text, |(what, _)| what);
    let text = match text.split_once(" (os error ") {
        Some((before, rest)) => {
            format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after))
        }
        None => text.to_owned(),
    };
    [
        ("POST sslcertificate/default", "\"Make the default certificate anew\""),
        ("POST sslcertificate", "\"Apply a certificate\""),
        ("DELETE certificaterequest", "\"Drop the certificate request\""),
        ("POST certificaterequest", "\"Make a certificate request\""),
        ("GET acme", "\"Certificate\""),
        ("POST acme", "\"Have it issued and renewed (ACME)\""),
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
        let body = json!({"error": "the address is missing; send {\"address\": …}", "code": 3});
        assert_eq!(refusal(&Reply { status: 400, body }), "The address is missing.");
        let body = json!({"success": false, "message": "the password is empty"});
        assert_eq!(refusal(&Reply { status: 400, body }), "The password is empty.");
        let body = json!({"error": "x", "reason": "connect", "hint": "it can't be reached: refused (os error 111)"});
        let told = refusal(&Reply { status: 400, body });
        assert_eq!(told, "It can't be reached: refused.\nFor support: x (connect)");
        let nothing = refusal(&Reply { status: 503, body: json!({}) });
        assert_eq!(nothing, "The daemon answered with status 503.");
    }
}
