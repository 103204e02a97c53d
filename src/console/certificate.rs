//! Certificate: a request made here, and the certificate that comes back, over a serial line; an authority that
//! issues it.

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::menu::Menu;
use super::screen::Screen;
use super::security::describe;
use super::{Ended, acme, listed, tell};

const REQUEST: &str = "security/certificaterequest";

pub(super) fn menu(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    loop {
        let certificate = daemon.read("security/sslcertificate")?;
        let (request, by_acme) = (daemon.read(REQUEST)?, daemon.read(acme::ACME)?);
        screen.title("Certificate")?;
        screen.row("In use", &describe(&certificate))?;
        screen.row("Request", &pending(&request))?;
        screen.row("ACME", &acme::describe(&by_acme))?;
        let mut menu = Menu::default();
        let is_pending = request["pending"] == true;
        match is_pending {
            true => menu.add("Show the certificate request", |screen| show(screen, &request)),
            false => menu.add("Make a certificate request", |screen| make(daemon, screen)),
        }
        menu.add("Apply a certificate", |screen| apply_pasted(daemon, screen));
        if is_pending {
            menu.add("Drop the certificate request", |screen| drop_pending(daemon, screen));
        }
        menu.add("Make the default certificate anew", |screen| renew_default(daemon, screen));
        menu.add("Have it issued and renewed (ACME)", |screen| acme::set(daemon, screen));
        if by_acme["enabled"] == true {
            menu.add("End ACME", |screen| acme::end(daemon, screen));
        }
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

fn pending(request: &Value) -> String {
    let names = request["names"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    match (request["pending"] == true, request["created"].as_str()) {
        (false, _) => "none".to_owned(),
        (true, Some(created)) => format!("made at {created} for {}", names.join(", ")),
        (true, None) => format!("for {}", names.join(", ")),
    }
}

fn make(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    screen.say("The private key is made here and never leaves the appliance.")?;
    let names = screen.ask("Host names and addresses (Enter: those of this appliance):")?;
    let organization = screen.ask("Organization (Enter leaves it out):")?;
    let mut body = json!({"names": listed(&names)});
    if !organization.is_empty() {
        body["subject"] = json!({"O": organization});
    }
    screen.say("Making the key; this may take some seconds...")?;
    show(screen, &daemon.post(REQUEST, &body)?)
}

fn show(screen: &mut Screen, request: &Value) -> Result<(), Ended> {
    screen.blank()?;
    screen.say(
        "Send what stands between the marks, marks included, to your certificate authority.",
    )?;
    screen.blank()?;
    screen.verbatim(request["request"].as_str().unwrap_or_default())?;
    screen.blank()?;
    screen.pause()
}

fn apply_pasted(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    screen.say("Paste the certificate in PEM, then its chain, and end with an empty line.")?;
    let pem = screen.paste_certificate()?;
    tell(screen, &daemon.upload_certificate(&pem)?)
}

fn drop_pending(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to drop the certificate request.",
        "* Its private key is destroyed.",
        "* A certificate that was issued for it can't be used any more.",
    ])?;
    tell(screen, &daemon.delete(REQUEST)?)
}

fn renew_default(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to make the default certificate anew.",
        "* It gets a new key, and the names and addresses that this machine has now.",
        "* Clients that trust the old one must trust the new one.",
        "* An uploaded certificate stays in use.",
    ])?;
    tell(screen, &daemon.post("security/sslcertificate/default", &Value::Null)?)
}
