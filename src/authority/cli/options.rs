//! The flags and the argument of a command, as values that were checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::Error;
use crate::authority::database::Database;
use crate::authority::database::etcd::{self, Etcd};
use crate::authority::database::files::Files;
use crate::authority::license::MAX_WORDS;
use crate::authority::licenses::Licenses;
use crate::license::protocol::fields::{computer_id, license_code, normalize_code};
use crate::util::utc;

/// Largest number of days for any flag.
pub(super) const MAX_DAYS: i64 = 36_500;

/// The flags and the argument of a command.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) dir: PathBuf,
    pub(super) argument: String,
    pub(super) values: BTreeMap<&'static str, Vec<String>>,
}

/// The current time, in seconds since 1970.
pub(super) fn now() -> i64 {
    utc::unix_seconds(SystemTime::now())
}

impl Options {
    /// Whether a flag was given.
    pub(super) fn given(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    /// Every value of a flag that may be repeated.
    pub(super) fn all(&self, flag: &str) -> &[String] {
        self.values.get(flag).map_or(&[], Vec::as_slice)
    }

    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        self.all(flag).first().map(String::as_str)
    }

    pub(super) fn json(&self) -> bool {
        self.given("json")
    }

    /// The argument as a license code, with or without spaces and dashes.
    pub(super) fn code(&self) -> Result<String, Error> {
        license_code(&normalize_code(&self.argument))
            .ok_or_else(|| Error::Usage("CODE is the 18 digits of a license".to_owned()))
    }

    fn read<T>(
        &self,
        flag: &str,
        kind: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.value(flag) else { return Ok(None) };
        let read = read(text).map(Some);
        read.ok_or_else(|| Error::Usage(format!("--{flag} {text:?} is not {kind}")))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, flag: &str, least: i64, most: i64) -> Result<Option<i64>, Error> {
        self.read(flag, &format!("a whole number from {least} to {most}"), |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| digits && (least..=most).contains(number))
        })
    }

    /// Seconds since 1970.
    pub(super) fn date(&self, flag: &str) -> Result<Option<i64>, Error> {
        self.read(flag, "a date as in 2027-10-16T12:26:37Z", utc::parse)
    }

    pub(super) fn digits(&self, flag: &str, most: usize) -> Result<Option<&str>, Error> {
        self.read(flag, &format!("1 to {most} digits"), |_| {
            let text = self.value(flag)?;
            let fine = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fine.then_some(text)
        })
    }

    pub(super) fn computer(&self) -> Result<Option<String>, Error> {
        self.read("computer", "a computer id as `show` writes it", computer_id)
    }

    /// The code of a new license.
    pub(super) fn chosen_code(&self) -> Result<Option<String>, Error> {
        self.read("code", "the 18 digits of a license", |text| license_code(&normalize_code(text)))
    }

    /// A text of one line.
    pub(super) fn words(&self, flag: &str) -> Result<Option<String>, Error> {
        self.read(flag, &format!("a line of at most {MAX_WORDS} bytes"), |text| {
            let fits = text.len() <= MAX_WORDS && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        })
    }

    /// The state that licenses of a listing have.
    pub(super) fn state(&self) -> Result<Option<&'static str>, Error> {
        let states = ["active", "in grace", "expired", "suspended", "revoked"];
        self.read("state", "active, in grace, expired, suspended or revoked", |text| {
            states.into_iter().find(|state| *state == text)
        })
    }

    pub(super) fn yes_or_no(&self, flag: &str) -> Result<Option<bool>, Error> {
        self.read(flag, "yes or no", |text| match text {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })
    }

    /// A number of days, `default` where the flag is missing; `None` for `never`.
    pub(super) fn days_or_never(&self, flag: &str, default: i64) -> Result<Option<i64>, Error> {
        match self.value(flag) {
            Some("never") => Ok(None),
            _ => Ok(Some(self.number(flag, 0, MAX_DAYS)?.unwrap_or(default))),
        }
    }

    /// Where the authority keeps its records.
    ///
    /// # Errors
    /// When a flag, or a file that one names, can't be used.
    pub(super) fn database(&self) -> Result<Arc<dyn Database>, Error> {
        match self.value("store") {
            None => Ok(Arc::new(Files::new(&self.dir)?)),
            Some(place) => self.database_at("store", place),
        }
    }

    /// The store of which `place`, the value of `flag`, is the address.
    ///
    /// # Errors
    /// When a flag, or a file that one names, can't be used.
    pub(super) fn database_at(&self, flag: &str, place: &str) -> Result<Arc<dyn Database>, Error> {
        match place.split_once(':') {
            Some(("dir", dir)) if !dir.is_empty() => Ok(Arc::new(Files::new(Path::new(dir))?)),
            Some(("etcd", urls)) => {
                let options =
                    etcd::Options::parse(urls, &|flag| self.value(flag)).map_err(Error::Usage)?;
                Ok(Arc::new(Etcd::new(&options)?))
            }
            _ => {
                let what = "dir:FOLDER or etcd:URLS, as in etcd:https://10.0.0.1:2379";
                Err(Error::Usage(format!("--{flag} is {what}")))
            }
        }
    }

    /// All licenses.
    ///
    /// # Errors
    /// As [`Options::database`].
    pub(super) fn licenses(&self) -> Result<Licenses, Error> {
        self.database().map(Licenses::new)
    }

    /// Where the licenses are, for messages.
    pub(super) fn place(&self) -> impl fmt::Display {
        self.value("store").map_or_else(|| self.dir.display().to_string(), str::to_owned)
    }

    /// An entry for the audit log, with who did it.
    pub(super) fn event(&self, word: &str, members: &[(&str, Value)]) -> Value {
        let login = || ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
        let uid = || format!("uid {}", rustix::process::getuid().as_raw());
        let named = self.value("operator").map(str::to_owned);
        let operator = named.or_else(login).unwrap_or_else(uid);
        let both = [("event", Value::from(word)), ("operator", operator.into())];
        both.iter().chain(members).cloned().collect()
    }
}

/// Fails unless all of `flags` are given; names every one that is missing.
pub(super) fn require(options: &Options, flags: &[&str]) -> Result<(), Error> {
    let missing: Vec<String> =
        flags.iter().filter(|flag| !options.given(flag)).map(|flag| format!("--{flag}")).collect();
    match &missing[..] {
        [] => Ok(()),
        [flag] => Err(Error::Usage(format!("{flag} is missing"))),
        flags => Err(Error::Usage(format!("{} are missing", flags.join(", ")))),
    }
}

/// The value of a flag that must be given.
pub(super) fn required<T>(flag: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::Usage(format!("--{flag} is missing")))
}
