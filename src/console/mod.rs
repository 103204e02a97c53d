//! The menu on the machine's own screen or serial line, which works without a network and a password.
//!
//! A client of the control socket without a state of its own: every screen is read anew. Whoever can type
//! here is the administrator. It ends at the end of the input, at a closed output and with `0` in the first
//! menu.
//!
//! In: screens and the questions of their entries. Out: what a change does (the daemon), and what works
//! without the daemon ([`crate::admin`]).

mod acme;
mod addresses;
mod certificate;
mod clock;
mod daemon;
mod job_token;
mod keyboard;
mod license;
mod machine;
mod network;
mod screen;
mod security;

use serde_json::Value;

use crate::admin::{reset, status};
use crate::config::Config;
use crate::diagnosis::screen::text as screen_text;
use crate::util::utc;

use daemon::{Daemon, Error};
use screen::Screen;

/// The input or the output is closed.
#[derive(Debug)]
struct Closed;

/// Shows menus until it is left.
pub(crate) fn run(config: &Config) {
    let mut screen = Screen::new();
    // A closed terminal is the normal end.
    let _ = top(config, &mut screen);
}

#[derive(Clone, Copy)]
enum Entry {
    License,
    Networking,
    Security,
    Services,
    Clock,
    Report,
    Reboot,
    Shutdown,
    Files,
    Reset,
    Again,
    Leave,
}

fn top(config: &Config, screen: &mut Screen) -> Result<(), Closed> {
    let daemon = Daemon::new(config);
    loop {
        let now = utc::format(utc::unix_seconds(std::time::SystemTime::now()));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        screen.title(&format!("Appliance {} on {host}, {now}", config.about.version))?;
        let chosen = match security::Access::read(daemon) {
            Ok(access) => {
                for (index, url) in machine::main_urls(config, access.plain_http).iter().enumerate()
                {
                    screen.row(if index == 0 { "Address" } else { "" }, url)?;
                }
                access.show(config, screen)?;
                running(screen)?
            }
            Err(error) => stopped(screen, &error)?,
        };
        match chosen {
            None | Some(Entry::Again) => {}
            Some(Entry::Leave) => return Ok(()),
            Some(Entry::License) => license::menu(daemon, screen)?,
            Some(Entry::Networking) => network::menu(config, daemon, screen)?,
            Some(Entry::Security) => security::menu(config, daemon, screen)?,
            Some(Entry::Services) => machine::services(config, daemon, screen)?,
            Some(Entry::Clock) => clock::menu(config, daemon, screen)?,
            Some(Entry::Report) => machine::report(config, daemon, screen)?,
            Some(Entry::Reboot) => machine::reboot(daemon, screen)?,
            Some(Entry::Shutdown) => machine::shutdown(daemon, screen)?,
            Some(Entry::Reset) => security::reset(config, screen)?,
            Some(Entry::Files) => {
                screen.title("State files")?;
                let shown = state_files(config).unwrap_or_else(|error| daemon::sentence(&error));
                screen.say(&shown)?;
                screen.pause()?;
            }
        }
    }
}

/// The status as the state files show it. The listeners would not fit on the screen, and say nothing of the state.
fn state_files(config: &Config) -> Result<String, String> {
    let mut status = status::read(config)?;
    status["listeners"] = Value::Null;
    Ok(screen_text(&status))
}

fn running(screen: &mut Screen) -> Result<Option<Entry>, Closed> {
    let entries = [
        ("License", Entry::License),
        ("Networking", Entry::Networking),
        ("Security", Entry::Security),
        ("Services", Entry::Services),
        ("Clock", Entry::Clock),
        ("Save a report for support", Entry::Report),
        ("Reboot", Entry::Reboot),
        ("Shutdown", Entry::Shutdown),
    ];
    screen.choose(&entries, ("Leave the console", Entry::Leave))
}

/// The menu while the daemon does not run or does not answer.
fn stopped(screen: &mut Screen, error: &Error) -> Result<Option<Entry>, Closed> {
    screen.blank()?;
    let again = ("Look again whether the daemon runs", Entry::Again);
    let leave = ("Leave the console", Entry::Leave);
    match error {
        Error::NotRunning => {
            screen.say(
                "THE DAEMON IS NOT RUNNING: nothing answers on the network. It has to be started as \
                 the image does it (by its init script, or a reboot). Without it you can:",
            )?;
            let files = ("Show its state files", Entry::Files);
            screen.choose(&[files, ("Reset security", Entry::Reset), again], leave)
        }
        Error::Failed(sentence) => {
            screen.say("THE DAEMON DOES NOT ANSWER.")?;
            screen.say(sentence)?;
            screen.choose(&[again], leave)
        }
    }
}

/// Shows what was done, or why it was not, and waits for Enter.
fn show_outcome(screen: &mut Screen, done: Result<String, Error>) -> Result<(), Closed> {
    screen.blank()?;
    match done {
        Ok(told) => screen.say(&told)?,
        Err(Error::NotRunning) => screen.say("The daemon is not running, so nothing was done.")?,
        Err(Error::Failed(sentence)) => screen.say(&sentence)?,
    }
    screen.pause()
}
