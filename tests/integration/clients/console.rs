//! The way back for who has locked everybody out by address.

use serde_json::json;

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::settings::{Settings, free_port};

#[test]
fn the_console_needs_no_address_and_says_how_to_change_them() {
    let port = free_port();
    let listen = json!([
        {"address": format!("127.0.0.1:{port}"), "serves": "all", "allow": ["192.0.2.0/24"]}
    ]);
    let settings = Settings::both()
        .with("listen", listen)
        .with("management_from", json!(["10.0.0.0/8", "fd00::/8"]));
    let appliance = Appliance::start(&settings);
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(appliance.read(&url).status, 0);

    let mut console = Console::dumb(&appliance);
    console.choose("Security");
    console.choose("Addresses that may come");
    let shown = console.go_on();
    for words in ["Management: 10.0.0.0/8, fd00::/8", ": 192.0.2.0/24", "\"management_from\""] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    console.choose("Back");
    console.leave();
}

#[test]
fn nothing_is_said_of_addresses_where_everybody_may_come() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::dumb(&appliance);
    let shown = console.choose("Security");
    assert!(!shown.contains("Addresses that may come"), "{shown}");
    console.choose("Back");
    console.leave();
}
