//! Networking, Services, Reboot and Shutdown, and a report for support.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::folder::Folder;
use crate::support::prerequisites::Namespace;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

#[test]
fn networking_tells_every_address_and_port() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    let piece = console.choose("Networking");
    let url = |scheme: &str, port| format!("{scheme}://127.0.0.1:{port}/");
    assert!(piece.contains(&url("http", appliance.ports.http)), "{piece}");
    let told = console.go_on();
    for wanted in [
        url("http", appliance.ports.http),
        url("https", appliance.ports.https),
        url("http", appliance.ports.management),
        url("wss", appliance.ports.v2_realtime),
        "everything (to HTTPS while plain HTTP is off)".to_owned(),
        "speech (closed while plain HTTP is off)".to_owned(),
        "Addresses".to_owned(),
    ] {
        assert!(told.contains(&wanted), "no {wanted} in {told}");
    }
    console.leave();
}

#[test]
fn the_address_that_leads_out_is_told_before_those_of_bridges() {
    let Some(mut command) = Namespace::Net.unshare() else { return };
    let appliance = Appliance::start(&Settings::both());
    // A network of the console's own: a bridge for containers, and the way out.
    let script = "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip address add 10.42.0.1/16 dev lo &&
        ip address add 198.51.100.7/24 dev lo && ip route add default via 198.51.100.1 && exec \"$@\"";
    let real = appliance.command("console");
    command.args(["sh", "-c", script, "sh"]);
    command.arg(real.get_program()).args(real.get_args());
    let mut console = Console::dumb_as(&mut command);
    console.choose("Networking");
    let told = console.go_on();
    let place = |address: &str| told.find(address).unwrap_or_else(|| panic!("{address}: {told}"));
    assert!(place("198.51.100.7") < place("10.42.0.1"), "{told}");
    console.leave();
}

#[test]
fn reboot_and_shutdown_ask_first_and_run_the_image_s_commands() {
    let folder = Folder::new();
    let file = folder.path().join("shut-down");
    let commands = json!({"shutdown": ["/usr/bin/touch", file], "reboot": ["/bin/true"]});
    let appliance = Appliance::start(&Settings::both().with("commands", commands));
    let mut console = Console::terminal(&appliance);
    console.choose("Reboot");
    assert!(console.choose("Cancel").contains("Choose OK to reboot the system."));
    console.shows("Cancelled. Nothing was changed.");
    console.choose("Reboot");
    console.choose("OK");
    assert!(console.go_on().contains("The system restarts in 1 minute."));
    console.choose("Shutdown");
    assert!(console.choose("OK").contains("Choose OK to shut the system down."));
    assert!(console.go_on().contains("The system shuts down now."));
    until(SOON, "the command has run", || file.exists().then_some(()));
}

#[test]
fn an_image_without_commands_says_so() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::dumb(&appliance);
    console.choose("Reboot");
    console.choose("OK");
    assert!(console.go_on().contains("This appliance has no command for that"));
    console.choose("Services");
    console.choose("Restart services");
    assert!(console.go_on().contains("no command to restart its services"));
}

#[test]
fn services_of_the_second_generation_alone_are_listed() {
    let appliance = Appliance::start(&Settings::v2());
    let mut console = Console::terminal(&appliance);
    console.choose("Services");
    let piece = console.go_on();
    assert!(piece.contains("management   running") && !piece.contains("Restart"), "{piece}");
    console.leave();
}

#[test]
fn a_report_for_support_is_saved_in_the_state_folder_and_only_its_owner_reads_it() {
    let appliance = Appliance::start(&Settings::v1());
    let mut console = Console::terminal(&appliance);
    let file = appliance.state("report.zip");
    // The second takes the place of the first.
    for _ in 0..2 {
        console.choose("Save a report for support");
        assert!(console.go_on().contains(&format!("Saved as {}.", file.display())));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        appliance.shell(&format!("unzip -tqq {}", file.display())).ok();
    }
    console.leave();
}
