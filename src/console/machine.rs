//! The machine: its addresses, its services, reboot and shutdown.

use std::net::IpAddr;

use super::daemon::{Daemon, sentence};
use super::menu::Menu;
use super::screen::Screen;
use super::{Ended, tell};
use crate::config::{CommandKind, Config, HttpDisabled, Listen, Serves};
use crate::diagnosis::services::states;
use crate::security::addresses_of_this_machine;
use crate::store;

/// More would not fit on a screen of 24 lines.
const MAX_ADDRESSES: usize = 4;

/// URLs for a browser: the listeners that serve everything, with the first address.
pub(super) fn main_urls(config: &Config, plain_http: bool) -> Vec<String> {
    let addresses = addresses_of_this_machine();
    let open = |listen: &&Listen| listen.serves == Serves::All && (listen.tls || plain_http);
    let all = config.listen.iter().filter(open);
    all.take(MAX_ADDRESSES).map(|listen| url(listen, &addresses)).collect()
}

/// The machine's addresses, and what is served there.
pub(super) fn addresses(config: &Config, screen: &mut Screen) -> Result<(), Ended> {
    let addresses = addresses_of_this_machine();
    for (index, address) in addresses.iter().take(MAX_ADDRESSES).enumerate() {
        screen.row(if index == 0 { "Addresses" } else { "" }, &address.to_string())?;
    }
    match addresses.len() {
        0 => screen.row("Addresses", "none: no network interface has one")?,
        count if count > MAX_ADDRESSES => {
            screen.row("", &format!("and {} more", count - MAX_ADDRESSES))?;
        }
        _ => {}
    }
    screen.blank()?;
    for listen in &config.listen {
        let off = match (listen.tls, listen.http_disabled) {
            (true, _) => "",
            (false, HttpDisabled::Redirect) => " (to HTTPS while plain HTTP is off)",
            (false, HttpDisabled::Close) => " (closed while plain HTTP is off)",
        };
        let what = match listen.serves {
            Serves::All => "everything",
            Serves::Management => "management",
            Serves::Monitoring => "monitoring",
            Serves::Speech => "speech",
            Serves::Realtime => "realtime speech",
        };
        screen.say(&format!("  {:<31} {what}{off}", url(listen, &addresses)))?;
    }
    screen.blank()
}

fn url(listen: &Listen, addresses: &[IpAddr]) -> String {
    let (scheme, usual) = match (listen.serves, listen.tls) {
        (Serves::Realtime, true) => ("wss", 443),
        (Serves::Realtime, false) => ("ws", 80),
        (_, true) => ("https", 443),
        (_, false) => ("http", 80),
    };
    let any = listen.address.ip().is_unspecified();
    let host = match addresses.first() {
        Some(address) if any => *address,
        None if any => IpAddr::from([127, 0, 0, 1]),
        _ => listen.address.ip(),
    };
    let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
    match listen.address.port() {
        port if port == usual => format!("{scheme}://{host}/"),
        port => format!("{scheme}://{host}:{port}/"),
    }
}

pub(super) fn services(
    config: &Config,
    daemon: Daemon<'_>,
    screen: &mut Screen,
) -> Result<(), Ended> {
    loop {
        screen.title("Services")?;
        for state in states(config, daemon.runs(), |_| true) {
            let member = |name: &str| state[name].as_str().unwrap_or("unknown").to_owned();
            screen.row(&member("service"), &member("status"))?;
        }
        // The first generation alone has a call for it.
        if !config.api.v1 {
            screen.blank()?;
            return screen.pause();
        }
        let mut menu = Menu::default();
        menu.add("Restart services and ask for license updates", |screen| {
            daemon.restart_services()?;
            screen.tell(if config.commands.has(CommandKind::RestartServices) {
                "The services were told to restart, and license updates were asked for."
            } else {
                "This appliance has no command to restart its services; license updates were asked for."
            })
        });
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

/// Saves the report for support where `scp` gets it. Always in the same place: who has the console need not be one
/// who may write everywhere.
pub(super) fn report(
    config: &Config,
    daemon: Daemon<'_>,
    screen: &mut Screen,
) -> Result<(), Ended> {
    screen.title("Save a report for support")?;
    screen.say("It has logs and settings, but no password, license code, token or private key.")?;
    let file = config.state_dir.join("report.zip");
    store::replace(&file, &daemon.report()?)
        .map_err(|error| Ended::Failed(sentence(&error.to_string())))?;
    screen.tell(&format!("Saved as {}.", file.display()))
}

pub(super) fn reboot(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    order(daemon, screen, "reboot", "Choose OK to reboot the system.")
}

pub(super) fn shutdown(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    order(daemon, screen, "shutdown", "Choose OK to shut the system down.")
}

fn order(daemon: Daemon<'_>, screen: &mut Screen, word: &str, question: &str) -> Result<(), Ended> {
    screen.confirm(&[question, "* What runs now is cut off."])?;
    tell(screen, &daemon.delete(&format!("management/{word}"))?)
}
