//! Networking and Clock, for an image that has commands for them.

use serde_json::json;

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::folder::Folder;
use crate::support::settings::Settings;

/// The commands write down what they are told.
fn appliance(folder: &Folder) -> Appliance {
    let command = json!(["/bin/sh", "-c", "cat >>\"$0\"", folder.path().join("told")]);
    let commands = json!({"network": command, "clock": command});
    Appliance::start(&Settings::both().with("commands", commands))
}

fn told(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join("told")).unwrap_or_default()
}

#[test]
fn a_static_address_is_set_on_the_spot_and_kept_without_more_ado() {
    let folder = Folder::new();
    let appliance = appliance(&folder);
    let mut console = Console::terminal(&appliance);
    console.choose("Networking");
    let screen = console.choose("Set a static address");
    for row in ["those of the image", "Gateway", "Name servers", "Host name"] {
        assert!(screen.contains(row), "{screen}");
    }
    console.answer("IPv4 address, like 192.0.2.7: ", "192.0.2.7");
    console.answer("24: ", "255.255.255.0");
    console.answer("Gateway (Enter: none): ", "192.0.2.1");
    console.answer("(Enter: none): ", "192.0.2.53 192.0.2.54");
    assert!(console.choose("OK").contains("Choose OK to use 192.0.2.7."));
    assert!(console.go_on().contains("The new network settings are in use and are kept."));
    let screen = console.choose("Back");
    assert!(screen.contains("a static address"), "{screen}");
    let told = told(&folder);
    assert!(
        told.contains("\"action\": \"try\"") && told.contains("\"action\": \"keep\""),
        "{told}"
    );
    assert!(told.contains("\"nameservers\": [\"192.0.2.53\", \"192.0.2.54\"]"), "{told}");
    console.leave();
}

#[test]
fn dhcp_and_the_host_name_are_set_and_a_typing_error_changes_nothing() {
    let folder = Folder::new();
    let appliance = appliance(&folder);
    let mut console = Console::dumb(&appliance);
    console.choose("Networking");
    console.choose("Set a static address");
    console.answer("192.0.2.7: ", "192.0.2.7/24");
    console.answer("Gateway (Enter: none): ", "192.0.3.1");
    console.answer("(Enter: none): ", "");
    console.choose("OK");
    let refused = console.go_on();
    assert!(
        refused.contains("is outside of the appliance's network") && !refused.contains('{'),
        "{refused}"
    );
    assert_eq!(told(&folder), "");
    console.choose("Use DHCP");
    assert!(console.choose("OK").contains("Choose OK to enable DHCP networking."));
    assert!(console.go_on().contains("are kept"));
    console.choose("Set the host name");
    console.answer("Host name: ", "Box.example");
    assert!(console.go_on().contains("are kept"));
    assert!(told(&folder).ends_with("\"method\": \"dhcp\",\n  \"hostname\": \"box.example\"\n}\n"));
    console.choose("Show all addresses and ports");
    assert!(console.go_on().contains("everything"));
    console.choose("Back");
    console.leave();
}

#[test]
fn what_somebody_tries_from_the_network_is_shown_and_can_be_kept_here() {
    let folder = Folder::new();
    let appliance = appliance(&folder);
    let url = appliance.https("/v1/management/host/setdhcp");
    appliance.curl(&["-X", "POST", "-d", "{}", &url]).ok();
    let report = appliance.https("/v1/management/host/setdhcp");
    crate::support::wait::until(crate::support::wait::SOON, "it is in use", || {
        (appliance.curl(&[&report]).json()["trial"]["in_use"] == true).then_some(())
    });
    let mut console = Console::terminal(&appliance);
    console.choose("Networking");
    assert!(console.choose("Keep the new settings").contains("on trial; they are undone in"));
    assert!(console.go_on().contains("The new network settings are kept."));
    assert!(told(&folder).contains("\"action\": \"keep\""));
    console.choose("Back");
    console.leave();
}

#[test]
fn the_clock_is_set_after_it_is_said_what_that_means() {
    let folder = Folder::new();
    let appliance = appliance(&folder);
    let mut console = Console::terminal(&appliance);
    console.choose("Clock");
    console.choose("Set the clock");
    console.answer("2027-01-31T12:00:00Z: ", "2098-01-31 12:00");
    let asked = console.choose("OK");
    assert!(asked.contains("Choose OK to set the clock to 2098-01-31T12:00:00Z."), "{asked}");
    assert!(asked.contains("The certificate counts as expired then"), "{asked}");
    assert!(console.go_on().contains("The clock was set to 2098-01-31T12:00:00Z."));
    assert!(told(&folder).contains("\"unix_seconds\": 4042008000"));
    console.leave();
}

#[test]
fn without_commands_the_console_says_so() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::dumb(&appliance);
    console.choose("Networking");
    assert!(console.go_on().contains("\"commands.network\""));
    console.choose("Clock");
    assert!(console.go_on().contains("\"commands.clock\""));
    console.leave();
}
