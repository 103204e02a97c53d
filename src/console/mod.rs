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
mod menu;
mod network;
mod screen;
mod security;

use serde_json::Value;

use crate::admin::{reset, status};
use crate::config::Config;
use crate::diagnosis::screen::text as screen_text;
use crate::util::utc;

use daemon::{Daemon, Error};
use menu::Menu;
use screen::Screen;

/// Why a screen is left before its end.
#[derive(Debug)]
enum Ended {
    /// The input or the output is closed.
    Closed,
    /// It can't go on, for a reason that is to be told.
    Failed(String),
    /// The person has cancelled it.
    Cancelled,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        match error {
            Error::NotRunning => {
                Ended::Failed("The daemon is not running, so nothing was done.".to_owned())
            }
            Error::Failed(sentence) => Ended::Failed(sentence),
        }
    }
}

/// Shows menus until it is left.
pub(crate) fn run(config: &Config) {
    let mut screen = Screen::new();
    // A closed terminal is the normal end.
    let _ = top(config, &mut screen);
}

fn top(config: &Config, screen: &mut Screen) -> Result<(), Ended> {
    let daemon = Daemon::new(config);
    loop {
        let now = utc::format(utc::unix_seconds(std::time::SystemTime::now()));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        screen.title(&format!("Appliance {} on {host}, {now}", config.about.version))?;
        let menu = match security::Access::read(daemon) {
            Ok(access) => {
                for (index, url) in machine::main_urls(config, access.plain_http).iter().enumerate()
                {
                    screen.row(if index == 0 { "Address" } else { "" }, url)?;
                }
                access.show(config, screen)?;
                running(config, daemon)
            }
            Err(error) => stopped(config, screen, &error)?,
        };
        if !menu.run("Leave the console", screen)? {
            return Ok(());
        }
    }
}

/// The status as the state files show it. The listeners would not fit on the screen, and say nothing of the state.
fn state_files(config: &Config) -> Result<String, String> {
    let mut status = status::read(config)?;
    status["listeners"] = Value::Null;
    Ok(screen_text(&status))
}

fn running<'a>(config: &'a Config, daemon: Daemon<'a>) -> Menu<'a> {
    let mut menu = Menu::default();
    menu.add("License", move |screen| license::menu(daemon, screen));
    menu.add("Networking", move |screen| network::menu(config, daemon, screen));
    menu.add("Security", move |screen| security::menu(config, daemon, screen));
    menu.add("Services", move |screen| machine::services(config, daemon, screen));
    menu.add("Clock", move |screen| clock::menu(config, daemon, screen));
    menu.add("Save a report for support", move |screen| machine::report(config, daemon, screen));
    menu.add("Reboot", move |screen| machine::reboot(daemon, screen));
    menu.add("Shutdown", move |screen| machine::shutdown(daemon, screen));
    menu
}

/// The menu while the daemon does not run or does not answer.
fn stopped<'a>(config: &'a Config, screen: &mut Screen, error: &Error) -> Result<Menu<'a>, Ended> {
    screen.blank()?;
    let mut menu = Menu::default();
    match error {
        Error::NotRunning => {
            screen.say(
                "THE DAEMON IS NOT RUNNING: nothing answers on the network. It has to be started as \
                 the image does it (by its init script, or a reboot). Without it you can:",
            )?;
            menu.add("Show its state files", move |screen| {
                screen.title("State files")?;
                let shown = state_files(config).unwrap_or_else(|error| daemon::sentence(&error));
                screen.say(&shown)?;
                screen.pause()
            });
            menu.add("Reset security", move |screen| security::reset(config, screen));
        }
        Error::Failed(sentence) => {
            screen.say("THE DAEMON DOES NOT ANSWER.")?;
            screen.say(sentence)?;
        }
    }
    menu.add("Look again whether the daemon runs", |_| Ok(()));
    Ok(menu)
}

/// Shows what the daemon says it has done, with its warnings, and waits for Enter.
fn tell(screen: &mut Screen, answer: &Value) -> Result<(), Ended> {
    let said = [&answer["message"], &answer["confirmation"]].into_iter().find_map(Value::as_str);
    let mut lines = vec![daemon::sentence(&daemon::plain(said.unwrap_or("done")))];
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    let warnings = warnings.filter_map(Value::as_str).map(daemon::plain);
    lines.extend(warnings.map(|text| daemon::sentence(&format!("warning: {text}"))));
    screen.tell(&lines.join("\n"))
}

/// The words of a typed list.
fn listed(typed: &str) -> Vec<&str> {
    typed.split([',', ' ', '\t']).filter(|word| !word.is_empty()).collect()
}
