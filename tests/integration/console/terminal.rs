//! The terminal is left as it was found, however the console ends.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::{Signal, kill_process};

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

fn at_the_password(appliance: &Appliance) -> Console {
    let mut console = Console::terminal(appliance);
    console.choose("Security");
    console.choose("Set the admin password");
    console.shows("(not shown): ");
    console.press("half of a sec");
    assert!(!console.is_usual());
    console
}

fn at_the_certificate(appliance: &Appliance) -> Console {
    let mut console = Console::terminal(appliance);
    console.choose("License");
    console.choose("Apply a license certificate");
    console.answer("digits: ", "494953679762904933");
    console.shows("An empty line ends it.");
    until(SOON, "the terminal edits no lines", || (!console.is_usual()).then_some(()));
    console.press("0123");
    console.shows("0123");
    console
}

#[test]
fn a_signal_in_the_middle_of_a_password_or_a_certificate_leaves_a_terminal_that_echoes() {
    let appliance = Appliance::start(&Settings::both());
    for begin in [at_the_password, at_the_certificate] {
        let mut console = begin(&appliance);
        console.press("\x03");
        assert_eq!(console.ended().signal(), Some(Signal::INT.as_raw()));
        assert!(console.is_usual(), "after ^C");
        for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
            let mut console = begin(&appliance);
            kill_process(console.pid(), signal).unwrap();
            assert_eq!(console.ended().signal(), Some(signal.as_raw()));
            assert!(console.is_usual(), "after {signal:?}");
        }
    }
}

#[test]
fn the_end_of_the_input_leaves_a_terminal_that_echoes() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = at_the_certificate(&appliance);
    console.hang_up();
    assert_eq!(console.ended().code(), Some(0));
    assert!(console.is_usual());
    let mut console = Console::terminal(&appliance);
    console.choose("Security");
    console.choose("Set the admin password");
    console.shows("(not shown): ");
    console.hang_up();
    assert_eq!(console.ended().code(), Some(0));
    assert!(console.is_usual());
}

#[test]
fn interrupting_a_menu_ends_it() {
    let appliance = Appliance::start(&Settings::both());
    let mut console = Console::terminal(&appliance);
    console.shows("Choose 0 to 8: ");
    console.press("\x03");
    assert_eq!(console.ended().signal(), Some(Signal::INT.as_raw()));
}
