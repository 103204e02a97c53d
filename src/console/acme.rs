//! A certificate that an authority issues and renews by itself: set, shown in a line, ended.

use serde_json::{Value, json};

use super::daemon::{Daemon, plain};
use super::screen::Screen;
use super::{Ended, listed, tell};

pub(super) const ACME: &str = "security/acme";

/// One line about it.
pub(super) fn describe(acme: &Value) -> String {
    let member = |name: &str| acme[name].as_str().unwrap_or("unknown");
    if acme["enabled"] != true {
        return "off".to_owned();
    }
    let (status, directory) = (member("status"), member("directory"));
    let error = &acme["error"];
    if let (Some(message), Some(retry)) = (error["message"].as_str(), error["retry"].as_str()) {
        return format!("{status}, {directory}: {}; next attempt at {retry}", plain(message));
    }
    match acme["renewal"].as_str() {
        Some(renewal) => format!("{status}, {directory}; renewal at {renewal}"),
        None => format!("{status}, {directory}"),
    }
}

pub(super) fn set(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    screen.say("An authority that speaks ACME issues the certificate and renews it.")?;
    let directory = screen.ask("URL of its directory (Enter changes nothing):")?;
    if directory.is_empty() {
        return screen.tell("Nothing was changed.");
    }
    let names = screen.ask("Host names and addresses (Enter: the name of this appliance):")?;
    let mut body = json!({"directory": directory, "names": listed(&names)});
    let contact = screen.ask("Mail address for its notices (Enter leaves it out):")?;
    if !contact.is_empty() {
        body["contact"] = json!([contact]);
    }
    let kid = screen.ask("Key identifier of your account there (Enter: none):")?;
    if !kid.is_empty() {
        let key = screen.password("Its key")?;
        body["external_account"] = json!({"kid": kid, "hmac_key": key.as_str()});
    }
    screen.say("A private authority: paste its root in PEM, and end with an empty line.")?;
    screen.say("A public one: an empty line alone.")?;
    let root = screen.paste()?;
    if !root.is_empty() {
        body["root"] = json!(root);
    }
    tell(screen, &daemon.post(ACME, &body)?)
}

pub(super) fn end(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to end ACME.",
        "* The certificate in use stays.",
        "* It is not renewed any more.",
    ])?;
    tell(screen, &daemon.delete(ACME)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::describe;

    #[test]
    fn a_line_tells_how_far_it_is() {
        for (acme, line) in [
            (json!({"enabled": false}), "off"),
            (
                json!({"enabled": true, "status": "ordering", "directory": "https://ca/"}),
                "ordering, https://ca/",
            ),
            (
                json!({"enabled": true, "status": "valid", "directory": "https://ca/",
                       "renewal": "2027-01-19T04:12:31Z"}),
                "valid, https://ca/; renewal at 2027-01-19T04:12:31Z",
            ),
            (
                json!({"enabled": true, "status": "failing", "directory": "https://ca/",
                       "renewal": "2027-01-19T04:12:31Z",
                       "error": {"message": "refused (os error 111)", "retry": "2027-01-20T04:12:31Z"}}),
                "failing, https://ca/: refused; next attempt at 2027-01-20T04:12:31Z",
            ),
        ] {
            assert_eq!(describe(&acme), line);
        }
    }
}
