//! Who may come, by address: what the settings say, and the way back for who is locked out.
//!
//! These are in the settings file alone, which belongs to root, so the menu names it and changes nothing. The
//! console itself works whatever they say.

use super::Ended;
use super::screen::Screen;
use crate::config::{Config, DEFAULT_FILE};
use crate::util::networks::Networks;

/// True if the settings keep anybody out.
pub(super) fn are_restricted(config: &Config) -> bool {
    !config.management_from.is_empty() || config.listen.iter().any(|one| !one.allow.is_empty())
}

pub(super) fn show(config: &Config, screen: &mut Screen) -> Result<(), Ended> {
    screen.title("Addresses that may come")?;
    if !config.management_from.is_empty() {
        screen.say(&format!("Management: {}", listed(&config.management_from)))?;
    }
    for listen in config.listen.iter().filter(|listen| !listen.allow.is_empty()) {
        screen.say(&format!("{}: {}", listen.address, listed(&listen.allow)))?;
    }
    screen.blank()?;
    screen.say(&format!(
        "Whoever is locked out changes \"management_from\" or \"allow\" in the settings file \
         ({DEFAULT_FILE}, unless the image has another), tries it with `applianced check`, and \
         restarts the daemon or the machine."
    ))?;
    screen.pause()
}

fn listed(networks: &Networks) -> String {
    let mut all: Vec<String> = networks.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    let rest = networks.iter().skip(MOST_SHOWN).count();
    if rest > 0 {
        all.push(format!("and {rest} more"));
    }
    all.join(", ")
}

/// More would not fit on a screen of 24 lines.
const MOST_SHOWN: usize = 4;
