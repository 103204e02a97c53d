//! Networking: the addresses, and changing them on the spot. Who sits here has not lost the way to the appliance,
//! so a change is kept at once.

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::menu::Menu;
use super::screen::Screen;
use super::{Ended, listed, machine, tell};
use crate::config::{CommandKind, Config};

pub(super) fn menu(config: &Config, daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    if !config.commands.has(CommandKind::Network) {
        screen.title("Networking")?;
        machine::addresses(config, screen)?;
        screen.say(
            "They can't be changed here: this appliance has no command for that; its settings have no \
             \"commands.network\".",
        )?;
        screen.blank()?;
        return screen.pause();
    }
    loop {
        let network = daemon.read("management/host/setipaddress")?;
        screen.title("Networking")?;
        show(&network, screen)?;
        let mut menu = Menu::default();
        menu.add("Use DHCP", |screen| use_dhcp(daemon, screen));
        menu.add("Set a static address", |screen| set_address(daemon, screen, &network));
        menu.add("Set the host name", |screen| set_host_name(daemon, screen, &network));
        menu.add("Show all addresses and ports", |screen| {
            screen.title("Addresses and ports")?;
            machine::addresses(config, screen)?;
            screen.pause()
        });
        if network["trial"]["in_use"] == true {
            menu.add("Keep the new settings", |screen| {
                tell(screen, &daemon.change_network("management/host/confirmnetwork", &json!({}))?)
            });
        }
        if !menu.run("Back", screen)? {
            return Ok(());
        }
    }
}

fn show(network: &Value, screen: &mut Screen) -> Result<(), Ended> {
    let member = |name: &str| network[name].as_str().unwrap_or_default();
    screen.row("Settings", method(network))?;
    screen.row("Address", or_none(member("address")))?;
    if !member("address").is_empty() {
        screen.row("Netmask", member("netmask"))?;
    }
    screen.row("Gateway", or_none(member("gateway")))?;
    screen.row("Name servers", or_none(&nameservers(network)))?;
    screen.row("Host name", member("hostname"))?;
    let trial = &network["trial"];
    if trial["in_use"] == true {
        let left = trial["seconds_left"].as_u64().unwrap_or_default();
        let told = format!("on trial; they are undone in {left} s unless they are confirmed");
        screen.row("New settings", &told)?;
    } else if !trial.is_null() {
        screen.row("New settings", "are being made")?;
    }
    if !member("error").is_empty() {
        screen.row("Last change", &format!("is not in use: {}", member("error")))?;
    }
    Ok(())
}

fn method(network: &Value) -> &'static str {
    match network["method"].as_str() {
        Some("dhcp") => "DHCP",
        Some("static") => "a static address",
        _ => "those of the image",
    }
}

fn nameservers(network: &Value) -> String {
    let servers = network["nameservers"].as_array().into_iter().flatten();
    servers.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn use_dhcp(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.confirm(&[
        "Choose OK to enable DHCP networking.",
        "* The address may change, and connections to the old one end.",
    ])?;
    screen.say("One moment…")?;
    tell(screen, &daemon.change_network("management/host/setdhcp", &json!({}))?)
}

fn set_address(daemon: Daemon<'_>, screen: &mut Screen, network: &Value) -> Result<(), Ended> {
    screen.blank()?;
    let address = screen.require("IPv4 address, like 192.0.2.7:")?;
    let (address, mask) = match address.split_once('/') {
        Some((address, prefix)) => (address.to_owned(), prefix.to_owned()),
        None => (address, screen.ask("Netmask or prefix length, like 255.255.255.0 or 24:")?),
    };
    let gateway = screen.ask("Gateway (Enter: none):")?;
    let servers = screen.ask("Name servers, with blanks between them (Enter: none):")?;
    let before = network["address"].as_str().filter(|address| !address.is_empty());
    // An address in use on another machine is told by nobody here.
    screen.confirm(&[
        &format!("Choose OK to use {address}."),
        &format!("* Connections to {} end.", before.unwrap_or("the old address")),
    ])?;
    screen.say("One moment…")?;
    let body = json!({
        "address": address, "netmask": mask, "gateway": gateway, "nameservers": listed(&servers),
    });
    tell(screen, &daemon.change_network("management/host/setipaddress", &body)?)
}

/// The host name alone: the rest stays as it is.
fn set_host_name(daemon: Daemon<'_>, screen: &mut Screen, network: &Value) -> Result<(), Ended> {
    screen.blank()?;
    let mut body = json!({"hostname": screen.require("Host name:")?});
    let mut place = "management/host/setdhcp";
    if network["method"] == "static" {
        place = "management/host/setipaddress";
        for member in ["address", "netmask", "gateway", "nameservers"] {
            body[member] = network[member].clone();
        }
    }
    tell(screen, &daemon.change_network(place, &body)?)
}
