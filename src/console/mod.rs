//! The menu for the machine's own screen or serial line, for when nothing else is left.
//!
//! A client of the control socket like any other, without a state of its own: every screen is asked
//! for anew. It needs no network and no password; who can type here is the administrator. The end of
//! the input, a closed output and `0` in the first menu end it.
//!
//! In: screens and what the entries ask. Out: what a change does (the daemon), and how to work
//! without one (`reset` and `status` of the command line).

mod daemon;
mod keyboard;
mod license;
mod machine;
mod screen;
mod security;

use serde_json::Value;

use crate::admin::{self, reset, status};
use crate::config::Config;
use crate::util::utc;

use daemon::{Daemon, Trouble};
use screen::Screen;

/// Nobody types any more, or nobody reads.
#[derive(Debug)]
struct Gone;

/// Shows menus until it is left.
pub(crate) fn run(config: &Config) {
    let mut screen = Screen::new();
    // Whichever way it is left, there is nobody to tell.
    let _ = top(config, &mut screen);
}

#[derive(Clone, Copy)]
enum Entry {
    License,
    Networking,
    Security,
    Services,
    Reboot,
    Shutdown,
    Files,
    Reset,
    Again,
    Leave,
}

fn top(config: &Config, screen: &mut Screen) -> Result<(), Gone> {
    let daemon = Daemon::new(config);
    loop {
        let now = utc::format(utc::unix_seconds(std::time::SystemTime::now()));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        screen.title(&format!("Appliance {} on {host}, {now}", config.about.version))?;
        let chosen = match security::Entitlement::look(daemon) {
            Ok(standing) => {
                for (index, url) in
                    machine::main_urls(config, standing.plain_http).iter().enumerate()
                {
                    screen.row(if index == 0 { "Address" } else { "" }, url)?;
                }
                standing.show(config, screen)?;
                running(screen)?
            }
            Err(trouble) => stopped(screen, &trouble)?,
        };
        match chosen {
            None | Some(Entry::Again) => {}
            Some(Entry::Leave) => return Ok(()),
            Some(Entry::License) => license::menu(daemon, screen)?,
            Some(Entry::Networking) => machine::networking(config, screen)?,
            Some(Entry::Security) => security::menu(config, daemon, screen)?,
            Some(Entry::Services) => machine::services(config, daemon, screen)?,
            Some(Entry::Reboot) => machine::reboot(daemon, screen)?,
            Some(Entry::Shutdown) => machine::shutdown(daemon, screen)?,
            Some(Entry::Reset) => security::reset(config, screen)?,
            Some(Entry::Files) => {
                screen.title("What the files say")?;
                let shown = state_files(config)
                    .unwrap_or_else(|error| daemon::sentence(&error.to_string()));
                screen.say(&shown)?;
                screen.pause()?;
            }
        }
    }
}

/// The status as the state files show it. The listeners would not fit on the screen, and say nothing of the state.
fn state_files(config: &Config) -> Result<String, admin::Error> {
    let mut status = status::read(config)?;
    status["listeners"] = Value::Null;
    Ok(status::text(&status))
}

fn running(screen: &mut Screen) -> Result<Option<Entry>, Gone> {
    let entries = [
        ("License", Entry::License),
        ("Networking", Entry::Networking),
        ("Security", Entry::Security),
        ("Services", Entry::Services),
        ("Reboot", Entry::Reboot),
        ("Shutdown", Entry::Shutdown),
    ];
    screen.choose(&entries, ("Leave the console", Entry::Leave))
}

/// What can be done while the daemon does not run, or does not answer.
fn stopped(screen: &mut Screen, trouble: &Trouble) -> Result<Option<Entry>, Gone> {
    screen.blank()?;
    let again = ("Look again whether the daemon runs", Entry::Again);
    let leave = ("Leave the console", Entry::Leave);
    match trouble {
        Trouble::NotRunning => {
            screen.say(
                "THE DAEMON IS NOT RUNNING: nothing answers on the network. It has to be started as \
                 the image does it (by its init script, or a reboot). Without it you can:",
            )?;
            let files = ("See what its files say", Entry::Files);
            screen.choose(&[files, ("Reset security", Entry::Reset), again], leave)
        }
        Trouble::Refused(sentence) => {
            screen.say("THE DAEMON DOES NOT ANSWER.")?;
            screen.say(sentence)?;
            screen.choose(&[again], leave)
        }
    }
}

/// What was done, or why not, and time to read it.
fn told(screen: &mut Screen, done: Result<String, Trouble>) -> Result<(), Gone> {
    screen.blank()?;
    match done {
        Ok(told) => screen.say(&told)?,
        Err(trouble) => screen.say(trouble.sentence())?,
    }
    screen.pause()
}
