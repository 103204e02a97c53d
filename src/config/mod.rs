//! The settings: one JSON file, read once at the start; every key is optional, unknown keys are errors.
//!
//! In: the types, their defaults, and parsing a file (`parse`, with `section`); printing the
//! settings in force (`show`). Out: acting on them. Nothing here binds, connects or reads any other
//! file.
//!
//! What each setting means and its default: `applianced.json(5)`.

#[cfg(fuzzing)]
pub mod fuzz;

mod acme;
mod listen;
mod loops;
mod networks;
mod own_paths;
mod parse;
mod section;
mod services;
mod show;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub(crate) use acme::{Acme, ChallengeType, ExternalAccount, KeyType};
pub(crate) use listen::{HttpDisabled, Listen, Serves};
#[cfg(test)]
pub(crate) use own_paths::overlap as overlapping_path;
pub(crate) use services::OWN_PARTS;
pub(crate) use services::{Auth, Service, ServiceAddress};

use crate::util::networks::Networks;
use crate::util::words::words;

/// Read when no `--config` is given and the file exists.
pub(crate) const DEFAULT_FILE: &str = "/etc/applianced/config.json";

/// Largest settings file in bytes; a real one has about two thousand.
pub(crate) const LARGEST_FILE: u64 = 1 << 20;

/// Longest path of a Unix socket in bytes: `sun_path` less its terminating zero (unix(7)).
pub(crate) const LONGEST_SOCKET_PATH: usize = 107;

/// Our own sockets in `run_dir`: one for the management API, one for a speech engine that counts
/// seconds.
pub(crate) const CONTROL_SOCKET: &str = "control.sock";
pub(crate) const USAGE_SOCKET: &str = "usage.sock";

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Folder of everything that survives a reboot.
    pub(crate) state_dir: PathBuf,
    /// Folder of the sockets.
    pub(crate) run_dir: PathBuf,
    /// API generations that are mounted.
    pub(crate) api: Api,
    /// At least one; no address twice.
    pub(crate) listen: Vec<Listen>,
    /// Who reaches what is of the management kind; everybody if it is empty.
    pub(crate) management_from: Networks,
    /// Port that redirects point to.
    pub(crate) https_port: u16,
    /// Seconds of `Strict-Transport-Security`; 0 if it is not sent.
    pub(crate) hsts_max_age: u32,
    /// Sorted by name; always holds `speech` and `realtime`.
    pub(crate) services: Vec<Service>,
    /// The authority and what is shown while unlicensed.
    pub(crate) license: License,
    /// Answers of `host/about`.
    pub(crate) about: About,
    /// Programs the API may run.
    pub(crate) commands: Commands,
    /// Whether each request is logged.
    pub(crate) access_log: bool,
    /// The format of the log.
    pub(crate) log_format: LogFormat,
    /// Name or `uid:gid` to switch to after binding.
    pub(crate) user: Option<String>,
    /// Who issues the certificate of an appliance that has none of its own.
    pub(crate) acme: Option<Acme>,
}

words! {
    /// The format of the log.
    pub(crate) enum LogFormat {
        /// A time, a level and a text.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// API generations that are mounted; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    /// `/v1/…`
    pub(crate) v1: bool,
    /// `/v2/…`
    pub(crate) v2: bool,
}

/// The license authority, and what is shown while there is no license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct License {
    /// Begins with `http://`.
    pub(crate) authority_url: String,
    /// Absolute.
    pub(crate) trust_file: PathBuf,
    /// Digits.
    pub(crate) product: String,
    /// Up to 2,147,483,647.
    pub(crate) customer_id: u32,
    /// Seconds, up to 2,147,483,647.
    pub(crate) transcription_secs_allocated: u32,
}

/// Answers of `host/about`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// `version` (v1), `appliance_version` (v2).
    pub(crate) version: String,
    /// `appliance_variant` (v2).
    pub(crate) variant: String,
    /// `languages` (v2).
    pub(crate) languages: Vec<String>,
}

words! {
    /// A configured command.
    #[derive(PartialOrd, Ord)]
    pub(crate) enum CommandKind {
        /// `DELETE reboot`, after a minute.
        Reboot = "reboot",
        /// `DELETE shutdown`, at once.
        Shutdown = "shutdown",
        /// `DELETE services`.
        RestartServices = "restart_services",
        /// `POST setdhcp`, `POST setipaddress`; gets a document on its standard input.
        Network = "network",
        /// `POST time`; gets a document on its standard input.
        Clock = "clock",
    }
}

/// Commands by their kind, each a program and its arguments; empty means not offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commands([Vec<String>; CommandKind::ALL.len()]);

impl Commands {
    pub(crate) fn argv(&self, kind: CommandKind) -> &[String] {
        &self.0[kind as usize]
    }

    pub(crate) fn has(&self, kind: CommandKind) -> bool {
        !self.argv(kind).is_empty()
    }
}

impl Default for Config {
    fn default() -> Config {
        let on = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Config {
            state_dir: PathBuf::from("/var/lib/applianced"),
            run_dir: PathBuf::from("/run/applianced"),
            api: Api { v1: true, v2: true },
            listen: vec![
                Listen::plain(on(80), Serves::All, HttpDisabled::Redirect),
                Listen::tls(on(443), Serves::All),
                Listen::plain(on(3000), Serves::Monitoring, HttpDisabled::Close),
                Listen::plain(on(8080), Serves::Management, HttpDisabled::Close),
                Listen::plain(on(8082), Serves::Speech, HttpDisabled::Close),
                Listen::tls(on(9000), Serves::Realtime),
                Listen::plain(on(9001), Serves::Monitoring, HttpDisabled::Redirect),
                Listen::tls(on(9004), Serves::Realtime),
            ],
            management_from: Networks::default(),
            https_port: 443,
            hsts_max_age: 0,
            services: vec![Service::realtime(), Service::speech()],
            license: License {
                authority_url: "http://licensing.example.com/".to_owned(),
                trust_file: PathBuf::from("/etc/applianced/license-trust.json"),
                product: "103".to_owned(),
                customer_id: 4920,
                transcription_secs_allocated: 1_800_000,
            },
            about: About {
                version: "5.0.0".to_owned(),
                variant: String::new(),
                languages: vec!["en".to_owned()],
            },
            commands: Commands::default(),
            access_log: true,
            log_format: LogFormat::Text,
            user: None,
            acme: None,
        }
    }
}

impl Config {
    /// Reads `file`; without one, [`DEFAULT_FILE`] if it exists, otherwise the defaults.
    ///
    /// The error has one sentence per mistake, each beginning with the file's name.
    pub(crate) fn load(file: Option<&Path>) -> Result<Config, Vec<String>> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound => {
                return Ok(Config::default());
            }
            Err(error) => return Err(vec![format!("{}: {error}", path.display())]),
        };
        Config::parse(&text).map_err(|errors| {
            errors.iter().map(|error| format!("{}: {error}", path.display())).collect()
        })
    }

    /// The path of the socket of the management API.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.run_dir.join(CONTROL_SOCKET)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(std::io::Error::new(
            ErrorKind::FileTooLarge,
            format!("larger than {LARGEST_FILE} bytes, so it can't be the settings file"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Config, LARGEST_FILE};

    #[test]
    fn a_named_file_that_does_not_exist_is_an_error() {
        let errors = Config::load(Some("/nowhere/config.json".as_ref())).unwrap_err();
        assert!(errors[0].starts_with("/nowhere/config.json: "), "{errors:?}");
    }

    #[test]
    fn a_file_has_a_ceiling() {
        let path = std::env::temp_dir().join(format!("applianced-ceiling-{}", std::process::id()));
        std::fs::write(&path, vec![b' '; LARGEST_FILE as usize + 1]).unwrap();
        let errors = Config::load(Some(&path)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(errors[0].contains("larger than 1048576 bytes"), "{errors:?}");
    }

    #[test]
    fn faults_name_the_file() {
        let path = std::env::temp_dir().join(format!("applianced-errors-{}", std::process::id()));
        std::fs::write(&path, r#"{"stat_dir": "/x", "api": []}"#).unwrap();
        let errors = Config::load(Some(&path)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().all(|error| error.starts_with(&path.display().to_string())));
    }
}
