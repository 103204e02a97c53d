//! Wrong input, the end of the input, and a reader that goes away.

use std::io::Write as _;
use std::process::Stdio;

use crate::console::session::Console;
use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

#[test]
fn wrong_input_gets_a_sentence_and_the_menu_again() {
    let appliance = Appliance::start(&Settings::both());
    for mut console in [Console::terminal(&appliance), Console::dumb(&appliance)] {
        let long = "9".repeat(3_000);
        for wrong in ["9", "x", "-1", "1 2", "licence", "99999999999999999999", "+", &long] {
            console.answer("Choose 0 to 8: ", wrong);
            console.shows("Please type one of the numbers 0 to 8, then Enter.");
        }
        console.shows("Choose 0 to 8: ");
        console.press_bytes(b"\xff\xfe\n");
        console.shows("That was not UTF-8 text. Please type it again.");
        console.shows("Choose 0 to 8: ");
        console.press("\n");
        let piece = console.choose("Security");
        assert!(!piece.contains("Please type one"), "Enter alone shows the menu again: {piece}");
        console.answer("Choose 0 to 5: ", "6");
        console.shows("Please type one of the numbers 0 to 5, then Enter.");
        console.choose("Back");
        console.leave();
    }
}

#[test]
fn the_end_of_the_input_leaves_cleanly_wherever_it_comes() {
    let appliance = Appliance::start(&Settings::both());
    let code = "494953679762904933";
    let ways = [
        "",
        "1\n",
        "1",
        "2\n",
        "3\n",
        "3\n2\n",
        "3\n2\nsecret\n",
        "3\n2\nsecret",
        "3\n3\n",
        "3\n5\nsecret\n",
        "4\n",
        "5\n",
        "6\n",
        "7\n",
        "1\n1\n",
        &format!("1\n1\n{code}\n"),
        "1\n2\n",
        &format!("1\n3\n{code}\n"),
        "1\n4\n",
        &format!("1\n4\n{code}\n00"),
        &format!("1\n4\n{code}\n00\n"),
        "1\n6\n",
        "1\n6\n1\n",
        "1\n6\n1\nproxy\n3128\nuser\n",
    ];
    for typed in ways {
        let mut console = Console::dumb(&appliance);
        console.press(typed);
        console.hang_up();
        assert_eq!(console.ended().code(), Some(0), "{typed:?}: {}", console.all());
    }
    let mut console = Console::terminal(&appliance);
    console.shows("Choose 0 to 8: ");
    console.hang_up();
    assert_eq!(console.ended().code(), Some(0));
    until(SOON, "the shell's prompt would begin a line", || {
        console.all().ends_with('\n').then_some(())
    });
}

#[test]
fn a_reader_that_went_away_ends_it_quietly() {
    let appliance = Appliance::start(&Settings::both());
    let mut child = appliance
        .command("console")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut keys = child.stdin.take().unwrap();
    let _ = keys.write_all(b"3\n0\n3\n0\n");
    until(SOON, "the console has ended", || child.try_wait().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn bad_settings_are_named_before_any_menu() {
    let appliance = Appliance::prepare(&Settings::both().with("stat_dir", "/x".into()));
    let output = appliance.program("console", &[]);
    assert_eq!(output.code, 78);
    assert!(output.err.contains("stat_dir") && output.out.is_empty(), "{output:?}");
}
