//! The clock: what another time would mean is told before it is set.

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::menu::Menu;
use super::screen::Screen;
use super::{Ended, tell};
use crate::config::{CommandKind, Config};

pub(super) fn menu(config: &Config, daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    let now = daemon.read("management/host/time")?;
    screen.title("Clock")?;
    screen.row("Time (UTC)", now["time"].as_str().unwrap_or("unknown"))?;
    if !config.commands.has(CommandKind::Clock) {
        screen.blank()?;
        screen.say(
            "It can't be set here: this appliance has no command for that; its settings have no \
             \"commands.clock\".",
        )?;
        return screen.pause();
    }
    let mut menu = Menu::default();
    menu.add("Set the clock", |screen| set(daemon, screen));
    menu.run("Back", screen).map(drop)
}

fn set(daemon: Daemon<'_>, screen: &mut Screen) -> Result<(), Ended> {
    screen.blank()?;
    let wanted = spelled(&screen.require("Time in UTC, like 2027-01-31T12:00:00Z:")?);
    let query: String =
        wanted.chars().filter(|c| c.is_ascii_alphanumeric() || "-:".contains(*c)).collect();
    let meant = daemon.read(&format!("management/host/time?set={query}"))?;
    let mut question = vec![format!("Choose OK to set the clock to {wanted}.")];
    let sentences =
        meant["consequences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    question.extend(sentences.map(|sentence| format!("* {sentence}")));
    let question: Vec<&str> = question.iter().map(String::as_str).collect();
    screen.confirm(&question)?;
    tell(screen, &daemon.post("management/host/time", &json!({"time": wanted}))?)
}

/// A time as the API wants it: people leave out the T, the seconds and the Z.
fn spelled(typed: &str) -> String {
    let typed = typed.trim_end_matches(['Z', 'z']).trim_end().replacen(' ', "T", 1);
    let seconds = if typed.matches(':').count() == 1 { ":00" } else { "" };
    format!("{typed}{seconds}Z")
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn a_time_may_be_typed_as_people_write_it() {
        for typed in ["2027-01-31 12:00", "2027-01-31T12:00:00Z", "2027-01-31 12:00:00 z"] {
            assert_eq!(spelled(typed), "2027-01-31T12:00:00Z", "{typed}");
        }
    }
}
