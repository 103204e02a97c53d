//! The license: applying and returning it, with and without a network, and the proxy on the way.

use serde_json::{Value, json};

use super::Ended;
use super::daemon::{Daemon, Error, plain, sentence};
use super::menu::Menu;
use super::screen::Screen;
use crate::license::normalize_code;

const LICENSE: &str = "management/license";
const OFFLINE_ACTIVATION: &str = "management/license/offlineactivation";
const OFFLINE_MODE: &str = "management/license/offlinemode";
const NETWORK: &str = "management/license/network";

const ASKING: &str = "Asking the license service; this may take a minute...";

pub(super) fn menu(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    loop {
        let status = daemon.read(OFFLINE_MODE)?;
        screen.title("License")?;
        for (title, value) in status_rows(&status) {
            screen.row(title, &value)?;
        }
        let mut menu = Menu::default();
        menu.add("Apply a license", |screen| apply(daemon, screen));
        menu.add("Return the license", |screen| give_back(daemon, screen, &status));
        menu.add("Make an activation certificate (without a network)", |screen| {
            request(daemon, screen)
        });
        menu.add("Apply a license certificate (without a network)", |screen| {
            certificate(daemon, screen, &status)
        });
        let offline = status["offline"] == true;
        let mode = if offline { "Go online" } else { "Go offline" };
        menu.add(mode, move |screen| set_offline(daemon, screen, !offline));
        menu.add("Proxy", |screen| proxy(daemon, screen));
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

/// The status document as rows.
fn status_rows(status: &Value) -> Vec<(&'static str, String)> {
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let seconds = |name: &str| status[name].as_u64().unwrap_or_default();
    let message = plain(text("message"));
    let mut rows = Vec::new();
    if status["licensed"] == true {
        rows.push(("License", format!("valid until {}", text("subscription_expiry"))));
        rows.extend((!message.is_empty()).then(|| ("", sentence(&message))));
    } else if !message.is_empty() {
        rows.push(("License", format!("not valid: {message}")));
    } else if text("status").starts_with("-9 ") {
        let waits = "none yet: an activation certificate waits for its answer";
        rows.push(("License", waits.to_owned()));
    } else {
        rows.push(("License", "none: speech is refused until one is applied".to_owned()));
    }
    if !text("license_code").is_empty() {
        rows.push(("Code", text("license_code").to_owned()));
        rows.push((
            "Seconds",
            format!(
                "{} ready here, {} sold",
                seconds("transcription_secs_allowed"),
                seconds("transcription_secs_allocated")
            ),
        ));
        // Of "1 License was activated online" only the last word is shown.
        let how = text("activation_type").trim_start_matches(|c: char| c.is_ascii_digit());
        let how = how.trim_start_matches(" License was activated ");
        rows.push(("Activation", how.to_owned()));
    }
    let error = plain(text("error_message"));
    let service = match (status["offline"] == true, status["connected"] == true) {
        (true, _) => "not asked: the appliance is in offline mode".to_owned(),
        (_, true) => "reached".to_owned(),
        _ if error.is_empty() => "not reached".to_owned(),
        _ => format!("not reached: {error}"),
    };
    rows.push(("Service", service));
    rows.push(("Computer id", text("computer_id").to_owned()));
    rows
}

fn summary(status: &Value) -> String {
    let rows = status_rows(status);
    rows.iter().map(|(title, value)| format!("  {title:<12} {value}\n")).collect()
}

/// Asks for a license code.
fn code(screen: &mut Screen) -> Result<String, Ended> {
    screen.blank()?;
    Ok(normalize_code(&screen.require("License code, 18 digits:")?))
}

/// The body of an activation of `code`, with the optional details.
fn application(screen: &mut Screen, code: &str) -> Result<Value, Ended> {
    screen.say("Three details for the vendor; Enter leaves one out.")?;
    let mut body = json!({"license": code});
    for (name, prompt) in [
        ("username", "Your name:"),
        ("email_address", "E-mail address:"),
        ("company_name", "Company:"),
    ] {
        let typed = screen.ask(prompt)?;
        if !typed.is_empty() {
            body[name] = json!(typed);
        }
    }
    Ok(body)
}

fn apply(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    let code = code(screen)?;
    let body = application(screen, &code)?;
    screen.say(ASKING)?;
    let status = daemon.call_license_service("POST", LICENSE, &body)?;
    screen.tell(&format!("The license was applied.\n{}", summary(&status)))
}

fn give_back(daemon: Daemon<'_>, screen: &mut Screen, status: &Value) -> Result<(), Ended> {
    let is =
        |name: &str, start: &str| status[name].as_str().is_some_and(|text| text.starts_with(start));
    if is("activation_type", "2") {
        screen.confirm(&[
            "Choose OK to return the license with a certificate.",
            "* New speech will be refused.",
            "* Only with the return certificate can your vendor credit unused seconds.",
            "* Asking again gives the same one, until another license is applied.",
        ])?;
        return return_certificate(screen, &daemon.delete(OFFLINE_ACTIVATION)?);
    }
    // A returned license may have left its return certificate.
    if is("status", "-113")
        && let Ok(answer) = daemon.delete(OFFLINE_ACTIVATION)
    {
        return return_certificate(screen, &answer);
    }
    screen.confirm(&[
        "Choose OK to return the license.",
        "* New speech will be refused.",
        "* Unused seconds go back to the vendor's account.",
        "* An activation certificate that waits for its answer will be dropped.",
    ])?;
    screen.say(ASKING)?;
    let answer = daemon.call_license_service("DELETE", LICENSE, &Value::Null)?;
    let seconds = answer["transcription_secs_returned"].as_u64().unwrap_or_default();
    screen.tell(&format!("The license was returned, with {seconds} unused seconds."))
}

fn return_certificate(screen: &mut Screen, answer: &Value) -> Result<(), Ended> {
    let seconds = answer["transcription_secs_returned"].as_u64().unwrap_or_default();
    let text = format!(
        "The license was returned. Send what stands between the marks to your vendor, who \
         credits {seconds} unused seconds."
    );
    show_certificate(screen, &text, "RETURN CERTIFICATE", answer)
}

fn request(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    let code = code(screen)?;
    let body = application(screen, &code)?;
    let answer = daemon.post(OFFLINE_ACTIVATION, &body)?;
    let text = "Send what stands between the marks to your vendor, with the license code. \
                Asking again gives the same until it is answered, after a reboot too.";
    show_certificate(screen, text, "ACTIVATION CERTIFICATE", &answer)
}

/// Shows `text` and the certificate of an answer.
fn show_certificate(
    screen: &mut Screen,
    text: &str,
    name: &str,
    answer: &Value,
) -> Result<(), Ended> {
    screen.blank()?;
    screen.say(text)?;
    screen.blank()?;
    screen.certificate(name, answer["certificate"].as_str().unwrap_or_default())?;
    screen.blank()?;
    screen.pause()
}

fn certificate(daemon: Daemon<'_>, screen: &mut Screen, status: &Value) -> Result<(), Ended> {
    let code = code(screen)?;
    screen.say("Paste the license certificate; many lines are fine. An empty line ends it.")?;
    let certificate = screen.paste_certificate()?;
    let body = json!({"license": code, "certificate": certificate});
    let mut now = daemon.call_license_service("PUT", OFFLINE_ACTIVATION, &body)?;
    now["offline"] = if now["licensed"] == true { true.into() } else { status["offline"].clone() };
    screen.tell(&format!("The license certificate was applied.\n{}", summary(&now)))
}

fn set_offline(daemon: Daemon<'_>, screen: &mut Screen, offline: bool) -> Result<(), Ended> {
    screen.say(ASKING)?;
    let body = json!({ "offline": offline });
    let status = daemon.call_license_service("POST", OFFLINE_MODE, &body)?;
    let message = if offline {
        "The appliance is in offline mode."
    } else {
        "The appliance is online again."
    };
    screen.tell(&format!("{message}\n{}", summary(&status)))
}

fn proxy(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    loop {
        let network = daemon.read(NETWORK);
        screen.title("Proxy on the way to the license service")?;
        let shown = match &network {
            Ok(network) => in_words(&network["http_configuration"]),
            Err(Error::Failed(sentence)) => sentence.clone(),
            Err(Error::NotRunning) => return Err(Error::NotRunning.into()),
        };
        screen.row("Proxy", &shown)?;
        let mut menu = Menu::default();
        menu.add("Set the proxy", |screen| set_proxy(daemon, screen));
        menu.add("Use no proxy", |screen| {
            daemon.post(NETWORK, &json!({"http_configuration": {}}))?;
            screen.tell("No proxy is used.")
        });
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

fn in_words(proxy: &Value) -> String {
    let member = |name: &str| proxy[name].as_str().unwrap_or_default();
    if member("ip").is_empty() {
        return "none".to_owned();
    }
    let login = match (member("user"), member("password")) {
        ("", _) => "without a user name".to_owned(),
        (user, "") => format!("as {user}, without a password"),
        (user, _) => format!("as {user}, with a password"),
    };
    format!("{} port {}, {login}", member("ip"), proxy["port"])
}

fn set_proxy(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    let ip = screen.require("Host name or address of the proxy:")?;
    let port = screen.ask("Port:")?;
    let mut settings = json!({"ip": ip, "port": port});
    let user = screen.ask("User name (Enter for none):")?;
    if !user.is_empty() {
        settings["user"] = json!(user);
        let password = screen.password("Password of the proxy")?;
        settings["password"] = json!(password.as_str());
    }
    let network = daemon.post(NETWORK, &json!({ "http_configuration": settings }))?;
    screen.tell(&format!("The proxy was set: {}.", in_words(&network["http_configuration"])))
}
