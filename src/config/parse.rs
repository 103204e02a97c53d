//! Parses the settings file into a [`Config`], or reports every mistake in it.

use super::section::{Diagnostics, Field};
use super::{
    About, Acme, Api, CommandKind, Commands, Config, LONGEST_SOCKET_PATH, License, LogFormat,
    listen, loops, networks, services,
};
use crate::util::json;

/// Longest socket name in `run_dir`, with its slash.
const LONGEST_SOCKET_NAME: usize = "/control.sock".len();

/// Two years, more than browsers remember it and what lists of preloaded hosts recommend.
const LONGEST_HSTS_MAX_AGE: u32 = 2 * 365 * 86_400;

impl Config {
    /// Parses a settings file; the error has one sentence per mistake.
    pub(crate) fn parse(text: &[u8]) -> Result<Config, Vec<String>> {
        let value = json::parse(text).map_err(|error| vec![error])?;
        let errors = Diagnostics::default();
        let config = whole(Field::root(value, &errors));
        if let Some(config) = &config {
            loops::note(config, &errors);
        }
        let errors = errors.into_messages();
        match config {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(errors),
        }
    }
}

fn whole(root: Field<'_>) -> Option<Config> {
    let mut section = root.section()?;
    let mut config = Config::default();
    set(&mut config.state_dir, section.take("state_dir"), Field::absolute_path);
    set(&mut config.run_dir, section.take("run_dir"), run_dir);
    set(&mut config.api, section.take("api"), api);
    set(&mut config.listen, section.take("listen"), listen::parse);
    set(&mut config.management_from, section.take("management_from"), networks::networks);
    set(&mut config.https_port, section.take("https_port"), port);
    set(&mut config.hsts_max_age, section.take("hsts_max_age"), |field| {
        field.number("seconds", 0..=LONGEST_HSTS_MAX_AGE)
    });
    set(&mut config.services, section.take("services"), services::parse);
    let defaults = config.license.clone();
    set(&mut config.license, section.take("license"), |field| license(field, defaults));
    let defaults = config.about.clone();
    set(&mut config.about, section.take("about"), |field| about(field, defaults));
    set(&mut config.commands, section.take("commands"), commands);
    set(&mut config.access_log, section.take("access_log"), Field::flag);
    set(&mut config.log_format, section.take("log_format"), |field| field.choice(LogFormat::NAMES));
    config.user = section.take("user").and_then(user);
    config.acme = section.take("acme").and_then(|field| field.read(Acme::from_json));
    section.end();
    Some(config)
}

/// Replaces the default by the value read; a mistake leaves the default and is reported already.
fn set<'a, T>(place: &mut T, field: Option<Field<'a>>, read: impl FnOnce(Field<'a>) -> Option<T>) {
    if let Some(value) = field.and_then(read) {
        *place = value;
    }
}

fn run_dir(field: Field<'_>) -> Option<std::path::PathBuf> {
    let longest = LONGEST_SOCKET_PATH - LONGEST_SOCKET_NAME;
    field.text_as(
        &format!("an absolute path of up to {longest} bytes, for sockets are made there"),
        |text| {
            let fits = text.starts_with('/') && text.len() <= longest && !text.contains('\0');
            fits.then(|| text.into())
        },
    )
}

fn api(field: Field<'_>) -> Option<Api> {
    if field.count() == 0 {
        field.note("expected at least one of \"v1\", \"v2\"; without any, nothing would be served");
        return None;
    }
    let mut api = Api { v1: false, v2: false };
    for item in field.items()? {
        match item.choice(&[("v1", 1), ("v2", 2)]) {
            Some(1) => api.v1 = true,
            Some(_) => api.v2 = true,
            None => {}
        }
    }
    Some(api)
}

fn port(field: Field<'_>) -> Option<u16> {
    u16::try_from(field.number("a port", 1..=65_535)?).ok()
}

fn license(field: Field<'_>, mut license: License) -> Option<License> {
    let mut section = field.section()?;
    set(&mut license.authority_url, section.take("authority_url"), |field| {
        // The license protocol encrypts its messages; customers' firewalls open TCP port 80 (ML-6).
        let wanted = "a URL that begins with \"http://\" and names a host, without a user";
        field.text_as(wanted, |text| {
            let host = text.strip_prefix("http://")?;
            let fits = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
            fits.then(|| text.to_owned())
        })
    });
    set(&mut license.trust_file, section.take("trust_file"), Field::absolute_path);
    set(&mut license.product, section.take("product"), |field| {
        field.text_as("a string of 1 to 5 digits", |text| {
            let fits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.to_owned())
        })
    });
    set(&mut license.customer_id, section.take("customer_id"), |field| {
        field.number("a customer number", 0..=i32::MAX as u32)
    });
    set(
        &mut license.transcription_secs_allocated,
        section.take("transcription_secs_allocated"),
        |field| field.number("seconds", 0..=i32::MAX as u32),
    );
    section.end();
    Some(license)
}

fn about(field: Field<'_>, mut about: About) -> Option<About> {
    let mut section = field.section()?;
    set(&mut about.version, section.take("version"), Field::text);
    set(&mut about.variant, section.take("variant"), Field::text);
    set(&mut about.languages, section.take("languages"), Field::texts);
    section.end();
    Some(about)
}

fn commands(field: Field<'_>) -> Option<Commands> {
    let mut section = field.section()?;
    let mut commands = Commands::default();
    for kind in CommandKind::ALL {
        set(&mut commands.0[*kind as usize], section.take(kind.name()), command);
    }
    section.end();
    Some(commands)
}

fn command(field: Field<'_>) -> Option<Vec<String>> {
    let words = field.items()?.into_iter().enumerate().map(|(index, word)| {
        // PATH is not searched: a program that runs as root is named by its full path.
        let wanted = if index == 0 { "the absolute path of a program" } else { "an argument" };
        word.text_as(wanted, |text| {
            let fits = (index > 0 || text.starts_with('/')) && !text.contains('\0');
            fits.then(|| text.to_owned())
        })
    });
    words.collect()
}

fn user(field: Field<'_>) -> Option<String> {
    field.text_as("a user's name or \"uid:gid\"", |text| {
        let named = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.len() <= 32
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let numbered = text
            .split_once(':')
            .is_some_and(|(uid, gid)| uid.parse::<u32>().is_ok() && gid.parse::<u32>().is_ok());
        (named || numbered).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests;
