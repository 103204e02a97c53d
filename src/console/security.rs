//! Security: plain HTTP, the password, the job token, and the reset after a lockout.

use serde_json::{Value, json};

use super::daemon::{Daemon, Error, sentence};
use super::menu::Menu;
use super::screen::Screen;
use super::{Ended, addresses, certificate, job_token, reset as command, tell};
use crate::config::Config;
use crate::log::Log;

/// The access settings in force.
pub(super) struct Access {
    pub(super) plain_http: bool,
    password: String,
    job_token: String,
}

impl Access {
    pub(super) fn read(daemon: Daemon<'_>) -> Result<Access, Error> {
        let plain_http = daemon.read("security/insecureports")?["enable_insecure_ports"] == true;
        let word = |path: &str, member: &str| {
            Ok(daemon.read(path)?[member].as_str().unwrap_or_default().to_owned())
        };
        let password = word("security/adminpassword", "admin_password")?;
        let job_token = word("security/jobtoken", "job_token")?;
        Ok(Access { plain_http, password, job_token })
    }

    pub(super) fn show(&self, config: &Config, screen: &mut Screen) -> Result<(), Ended> {
        screen
            .row("Plain HTTP", if self.plain_http { "on" } else { "off: HTTPS alone answers" })?;
        screen.row(
            "Password",
            match (self.password.as_str(), config.api.v1, config.api.v2) {
                ("set", ..) => "set; the user is admin",
                ("off", ..) => "authentication is off: no password is required",
                ("locked", ..) => "its file is damaged: reset security to log in",
                (_, true, true) => "not set: v1 requires none, v2 accepts admin:admin",
                (_, true, false) => "not set: none is required",
                (_, false, _) => "not set: admin:admin is accepted",
            },
        )?;
        screen.row(
            "Job token",
            match self.job_token.as_str() {
                "set" => "set; jobs and realtime need it",
                "locked" => "its file is damaged: set it again or remove it",
                _ => "not set: speech is open to whoever reaches it",
            },
        )
    }
}

pub(super) fn menu(config: &Config, daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    loop {
        let access = Access::read(daemon)?;
        let in_use = daemon.read("security/sslcertificate")?;
        screen.title("Security")?;
        access.show(config, screen)?;
        screen.row("Certificate", &describe(&in_use))?;
        let mut menu = Menu::default();
        let on = access.plain_http;
        let http = if on { "Disable plain HTTP" } else { "Enable plain HTTP" };
        menu.add(http, move |screen| {
            let body = json!({"enable_insecure_ports": !on});
            tell(screen, &daemon.post("security/insecureports", &body)?)
        });
        menu.add("Set the admin password", |screen| set_password(config, daemon, screen));
        menu.add("Reset security", |screen| reset(config, screen));
        menu.add("Certificate", |screen| certificate::menu(daemon, screen));
        menu.add("Set the job token", |screen| job_token::set(daemon, screen));
        if access.job_token != "unset" {
            menu.add("Remove the job token", |screen| job_token::remove(daemon, screen));
        }
        if addresses::are_restricted(config) {
            menu.add("Addresses that may come", |screen| addresses::show(config, screen));
        }
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

/// One line about a certificate.
pub(super) fn describe(certificate: &Value) -> String {
    let member = |name: &str| certificate[name].as_str().unwrap_or("unknown");
    let source = match member("source") {
        "default" => "the appliance's own",
        "acme" => "issued by ACME",
        other => other,
    };
    format!("{source}, {}, valid until {}", member("subject"), member("not_after"))
}

fn set_password(config: &Config, daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    let password = screen.password("New password of the user admin")?;
    daemon.post("security/adminpassword", &json!({"password": password.as_str()}))?;
    let plain_http = Access::read(daemon).is_ok_and(|access| access.plain_http);
    let warning = match (plain_http, config.api.v2) {
        (false, _) => "",
        (true, true) => {
            "\nPlain HTTP is still on and carries the password in clear: disable it next."
        }
        (true, false) => {
            "\nPlain HTTP is still on and asks for no password, so any client can replace it: disable it next."
        }
    };
    screen.tell(&format!("The admin password is set.{warning}"))
}

/// Works whether or not the daemon runs.
pub(super) fn reset(config: &Config, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to reset security settings.",
        "* The admin password will be unset.",
        "* The job token will be removed.",
        "* Plain HTTP will be re-enabled.",
        "* Uploaded certificates will be removed.",
        "* ACME will be ended.",
    ])?;
    // Without a daemon its log lines would appear on the screen, which shows the outcome anyway.
    let done = command::reset(config, false, Log::to(|_| {}));
    screen.tell(&done.unwrap_or_else(|error| sentence(&error)))
}
