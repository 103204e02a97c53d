//! The License menu against a running authority, and without a network.

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::license::Licensed as _;
use crate::support::settings::{Settings, free_port};
use crate::support::vendor::Vendor;

fn details(console: &mut Console, code: &str) {
    console.answer("License code, 18 digits: ", code);
    console.answer("Your name: ", "Fiona Kelly");
    console.answer("E-mail address: ", "");
    console.answer("Company: ", "");
}

/// The activation certificate as a person copies it off the screen.
fn copied(console: &mut Console, code: &str) -> String {
    console.choose("Make an activation certificate");
    details(console, code);
    let piece = console.go_on();
    let (_, rest) = piece.split_once("-----BEGIN ACTIVATION CERTIFICATE-----\n").unwrap();
    let (hex, _) = rest.split_once("-----END ACTIVATION CERTIFICATE-----\n").unwrap();
    let (last, full) =
        hex.lines().collect::<Vec<_>>().split_last().map(|(l, f)| (l.len(), f.to_vec())).unwrap();
    assert!(full.iter().all(|line| line.len() == 64) && (1..=64).contains(&last), "{hex}");
    hex.to_owned()
}

#[test]
fn a_license_is_applied_taken_offline_and_returned() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let code = vendor.sell(&["--offline-mode"]);
    let mut console = Console::terminal(&appliance);
    assert!(console.choose("License").contains("Plain HTTP"));
    let piece = console.choose("Apply a license");
    assert!(piece.contains("none: speech is refused until one is applied"), "{piece}");
    // Copied off a sheet of paper.
    let written = format!("{} {}-{}", &code[..6], &code[6..12], &code[12..]);
    details(&mut console, &written);
    let told = console.go_on();
    assert!(
        told.contains("The license was applied.") && told.contains("3600 ready here"),
        "{told}"
    );
    assert_eq!(appliance.license()["licensed"], true);

    let piece = console.choose("Return the license");
    assert!(piece.contains("  Activation   online\n"), "{piece}");
    assert!(piece.contains("valid until 2097-10-16T12:26:37Z") && piece.contains(&code), "{piece}");
    assert!(console.choose("Cancel").contains("Choose OK to return the license."));
    console.choose("Go offline");
    assert!(console.go_on().contains("The appliance is in offline mode."));
    console.choose("Return the license");
    console.choose("OK");
    let told = console.go_on();
    assert!(told.contains("Leave offline mode with \"Go online\""), "{told}");
    assert!(console.choose("Go online").contains("not asked: the appliance is in offline mode"));
    assert!(console.go_on().contains("The appliance is online again."));
    console.choose("Return the license");
    console.choose("OK");
    assert!(console.go_on().contains("The license was returned, with"));
    assert_eq!(appliance.license()["licensed"], false);
    console.choose("Back");
    console.leave();
}

#[test]
fn a_license_is_carried_by_hand_however_it_is_pasted() {
    let vendor = Vendor::new();
    let broken = |hex: &str, end: &str| {
        let lines: Vec<String> = hex
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        lines.join(end) + end
    };
    let pastes: [&dyn Fn(&str) -> String; 4] = [
        &|hex| format!("{hex}\n\n"),
        &|hex| {
            format!(
                "  -----BEGIN LICENSE-----\r{}-----END LICENSE-----\r\r",
                broken(hex, "\r").to_uppercase()
            )
        },
        &|hex| format!("{}\r\n", broken(hex, " \r\n")),
        // As a terminal sends lines that end in CR LF, or that stand apart.
        &|hex| format!("{}\r", broken(hex, "\r\r")),
    ];
    for (number, paste) in pastes.iter().enumerate() {
        let appliance = Appliance::start(&vendor.settings(free_port()));
        let code = vendor.sell(&["--offline-mode"]);
        let mut console = Console::terminal(&appliance);
        console.choose("License");
        let asked = copied(&mut console, &code);
        assert_eq!(copied(&mut console, &code), asked, "the same again");
        let license = vendor.sign(&asked);
        assert!(console.choose("Apply a license certificate").contains("waits for its answer"));
        console.answer("License code, 18 digits: ", &code);
        console.shows("An empty line ends it.");
        console.press(&paste(&license));
        let told = console.go_on();
        assert!(told.contains("The license certificate was applied."), "paste {number}: {told}");
        assert_eq!(appliance.license()["licensed"], true);
        console.choose("Back");
        console.leave();
    }
}

#[test]
fn a_license_is_carried_by_hand_over_a_dumb_line() {
    let vendor = Vendor::new();
    let appliance = Appliance::start(&vendor.settings(free_port()));
    let code = vendor.sell(&["--offline-mode"]);
    let mut console = Console::dumb(&appliance);
    console.choose("License");
    let license = vendor.sign(&copied(&mut console, &code));
    console.choose("Apply a license certificate");
    console.answer("License code, 18 digits: ", &code);
    console.answer(
        "An empty line ends it.",
        &format!("{}\r\n{}\r\n\r", &license[..100], &license[100..]),
    );
    assert!(console.go_on().contains("The license certificate was applied."));
    assert_eq!(appliance.license()["licensed"], true);

    console.choose("Return the license");
    assert!(console.choose("OK").contains("return the license with a certificate"));
    let told = console.go_on();
    assert!(told.contains("credits 1800000 unused seconds"), "{told}");
    assert!(told.contains("END RETURN CERTIFICATE"), "{told}");
    assert_eq!(appliance.license()["licensed"], false);
    console.choose("Return the license");
    assert!(console.go_on().contains("END RETURN CERTIFICATE"), "the same again");
}

#[test]
fn refusals_say_what_to_do_next() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let mut console = Console::terminal(&appliance);
    console.choose("License");
    console.choose("Apply a license");
    details(&mut console, "4949");
    assert!(
        console.go_on().contains("A license code has 18 digits: check it, or contact support.")
    );
    console.choose("Apply a license");
    console.answer("License code, 18 digits: ", "");
    assert!(console.go_on().contains("nothing was changed"));
    console.choose("Return the license");
    console.choose("OK");
    let told = console.go_on();
    assert!(told.contains("not licensed; apply a license with \"Apply a license\""), "{told}");
    for (pasted, wanted) in [
        ("zz\n\n", "The certificate text is damaged"),
        ("\n", "Nothing was pasted"),
        ("7bc3\x7f\x7f\x7f\x7f\x7f\n", "Nothing was pasted"),
        (&format!("{}\n\n", "ab".repeat(25 << 10)), "longer than any certificate"),
    ] {
        console.choose("Apply a license certificate");
        console.answer("License code, 18 digits: ", "494953679762904933");
        console.shows("An empty line ends it.");
        console.press(pasted);
        let told = console.go_on();
        assert!(told.contains(wanted), "{told}");
    }
    let code = vendor.sell(&[]);
    appliance.apply(&code).ok();
    console.choose("Make an activation certificate");
    details(&mut console, &code);
    let told = console.go_on();
    assert!(told.contains("remove it with \"Return the license\" first"), "{told}");
    console.choose("Go offline");
    let told = console.go_on();
    assert!(told.contains("For support: Offline mode not enabled for this license"), "{told}");
}

#[test]
fn a_service_that_cannot_be_reached_is_named() {
    let vendor = Vendor::new();
    for settings in [
        vendor.settings(free_port()),
        vendor.settings(free_port()).with("api", ["v1"].as_slice().into()),
    ] {
        let appliance = Appliance::start(&settings);
        let mut console = Console::terminal(&appliance);
        console.choose("License");
        console.choose("Apply a license");
        details(&mut console, &vendor.sell(&[]));
        let told = console.go_on();
        assert!(told.contains("can't be reached: Connection refused.\n"), "{told}");
    }
}

#[test]
fn the_proxy_is_set_shown_and_cleared_and_its_password_is_not() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    console.choose("License");
    console.choose("Proxy");
    let set = |console: &mut Console, host: &str, port: &str, user: &str| {
        console.choose("Set the proxy");
        console.answer("Host name or address of the proxy: ", host);
        console.answer("Port: ", port);
        console.answer("User name (Enter for none): ", user);
    };
    set(&mut console, "192.0.2.1", "3128", "amy");
    console.answer("(not shown): ", "geheim");
    console.answer("The same again: ", "geheim");
    assert!(
        console
            .go_on()
            .contains("The proxy was set: 192.0.2.1 port 3128, as amy, with a password.")
    );
    set(&mut console, "192.0.2.1", "none", "");
    assert!(console.go_on().contains("Port is not a number from 1 to 65535."));
    set(&mut console, "a b", "1", "");
    assert!(console.go_on().contains("Ip is neither a host name nor an address."));
    console.choose("Set the proxy");
    console.answer("Host name or address of the proxy: ", "");
    assert!(console.go_on().contains("nothing was changed"));
    let piece = console.choose("Use no proxy");
    assert!(piece.contains("192.0.2.1 port 3128, as amy, with a password"), "{piece}");
    assert!(console.go_on().contains("No proxy is used."));
    console.choose("Back");
    assert!(!console.all().contains("geheim"));
}
