//! Without a daemon: what the console says, and what it can still do.

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

const PING: &str = "/v1/management/ping";

#[test]
fn without_the_daemon_security_is_reset_and_the_files_are_shown() {
    let mut appliance = Appliance::start(&Settings::both());
    appliance.post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "lost"}"#).ok();
    appliance.stop();
    let mut console = Console::terminal(&appliance);
    let piece = console.choose("Show its state files");
    assert!(
        piece.contains("THE DAEMON IS NOT RUNNING: nothing answers on the network."),
        "{piece}"
    );
    let files = console.go_on();
    assert!(
        files.contains("Daemon       not running") && files.contains("Password     set"),
        "{files}"
    );
    console.choose("Reset security");
    console.choose("OK");
    assert!(console.go_on().contains("Security was reset.\n"));
    console.asks(); // a menu drawn later would know of the daemon already
    appliance.launch();
    assert_eq!(appliance.read(&appliance.https(PING)).status, 200);
    console.choose("Look again");
    assert!(console.choose("Services").contains("not set: v1 requires none"));
    assert!(console.choose("Back").contains("management   running"));
    console.leave();
}

#[test]
fn a_daemon_that_stops_in_the_middle_is_told_in_every_menu() {
    let mut appliance = Appliance::start(&Settings::both());
    let down = "THE DAEMON IS NOT RUNNING";
    for (menu, entry) in [
        ("Security", "Disable plain HTTP"),
        ("License", "Go offline"),
        ("License", "Proxy"),
        ("Services", "Restart services"),
    ] {
        let mut console = Console::terminal(&appliance);
        console.choose(menu);
        console.asks();
        appliance.stop();
        console.choose(entry);
        let told = console.go_on();
        assert!(told.contains("The daemon is not running"), "{menu}, {entry}: {told}");
        if menu == "Services" {
            console.choose("Back");
        } else {
            console.go_on();
        }
        console.shows(down);
        appliance.launch();
        console.choose("Look again");
        console.leave();
    }
    for entry in ["Reboot", "Shutdown"] {
        let mut console = Console::terminal(&appliance);
        console.choose(entry);
        console.asks();
        appliance.stop();
        console.choose("OK");
        assert!(console.go_on().contains("The daemon is not running, so nothing was done."));
        console.shows(down);
        appliance.launch();
    }
}

#[test]
fn a_reset_works_on_when_the_daemon_stops_under_it() {
    let mut appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    console.choose("Reset security");
    console.asks();
    appliance.stop();
    console.choose("OK");
    assert!(console.go_on().contains("Security was reset.\n"));
}
