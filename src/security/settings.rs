//! `security.json`: the two switches, and the files that a committed change still has to discard.

use serde_json::{Map, Value, json};

use super::files;
use crate::util::json;

/// Raised when the meaning of the file changes; another number is refused, never guessed at.
const VERSION: u64 = 1;

/// The contents of `security.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether plain HTTP is served.
    pub(super) plain_http: bool,
    /// Off means that an absent password file lets v2 clients in; a present file always counts.
    pub(super) authentication: bool,
    /// Files that count as gone since the last commit and may still have to be removed.
    pub(super) discard: Vec<&'static str>,
}

impl Settings {
    /// What a new or reset appliance does (manual, "Default behaviour").
    pub(super) const DEFAULT: Settings =
        Settings { plain_http: true, authentication: true, discard: Vec::new() };

    /// What holds while the file can't be believed: the fewest doors.
    pub(super) const SAFE_SIDE: Settings =
        Settings { plain_http: false, authentication: true, discard: Vec::new() };

    /// # Errors
    /// What is wrong with the file; an unknown version or key is damage, since it may be a
    /// restriction that this version doesn't know.
    pub(super) fn from_file(contents: &[u8]) -> Result<Settings, String> {
        let Ok(Value::Object(mut members)) = json::parse(contents) else {
            return Err("it is not a JSON object".to_owned());
        };
        match members.remove("version").as_ref().and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => return Err(format!("its version is {other}, and {VERSION} is known")),
            None => return Err("it has no version".to_owned()),
        }
        let plain_http = match members.remove("plain_http") {
            Some(Value::Bool(plain_http)) => plain_http,
            _ => return Err("plain_http is neither true nor false".to_owned()),
        };
        let authentication = match members.remove("authentication").as_ref().and_then(Value::as_str)
        {
            Some("on") => true,
            Some("off") => false,
            _ => return Err("authentication is neither \"on\" nor \"off\"".to_owned()),
        };
        let discard = discard(&mut members)?;
        match members.keys().next() {
            None => Ok(Settings { plain_http, authentication, discard }),
            Some(unknown) => Err(format!(
                "it has {}",
                json::unknown_key(unknown, &["version", "plain_http", "authentication", "discard"])
            )),
        }
    }

    pub(super) fn to_file(&self) -> Vec<u8> {
        let mut members = json!({
            "version": VERSION,
            "plain_http": self.plain_http,
            "authentication": if self.authentication { "on" } else { "off" },
        });
        if !self.discard.is_empty() {
            members["discard"] = json!(self.discard);
        }
        format!("{members:#}\n").into_bytes()
    }
}

/// Only files that a reset discards may be named: the key must not become a way to delete others.
fn discard(members: &mut Map<String, Value>) -> Result<Vec<&'static str>, String> {
    let named = match members.remove("discard") {
        None => return Ok(Vec::new()),
        Some(Value::Array(named)) => named,
        Some(_) => return Err("discard is not a list".to_owned()),
    };
    let known = |name: &Value| files::DISCARDABLE.into_iter().find(|known| name == known);
    named
        .iter()
        .map(|name| known(name).ok_or_else(|| "discard names an unknown file".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Settings;

    #[test]
    fn what_is_written_reads_back() {
        for settings in [
            Settings::DEFAULT,
            Settings::SAFE_SIDE,
            Settings {
                plain_http: true,
                authentication: false,
                discard: vec!["tls/uploaded.pem", "admin.htpasswd"],
            },
        ] {
            assert_eq!(Settings::from_file(&settings.to_file()).unwrap(), settings);
            let by_windows = [b"\xef\xbb\xbf", &settings.to_file()[..]].concat();
            assert_eq!(Settings::from_file(&by_windows).unwrap(), settings);
        }
    }

    #[test]
    fn anything_not_understood_is_damage() {
        for (file, why) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"version":1,"plain_http":tr"#, "not a JSON object"),
            (r#"{"plain_http":true,"authentication":"on"}"#, "no version"),
            (r#"{"version":2,"plain_http":true,"authentication":"on"}"#, "version is 2"),
            (r#"{"version":1,"authentication":"on"}"#, "plain_http"),
            (r#"{"version":1,"plain_http":"yes","authentication":"on"}"#, "plain_http"),
            (r#"{"version":1,"plain_http":true}"#, "authentication"),
            (r#"{"version":1,"plain_http":true,"authentication":true}"#, "authentication"),
            (r#"{"version":1,"plain_http":true,"authentication":"on","x":1}"#, "an unknown key"),
            (
                r#"{"version":1,"plain_http":true,"authentication":"on","discard":["../a"]}"#,
                "unknown file",
            ),
            (r#"{"version":1,"plain_http":true,"authentication":"on","discard":1}"#, "not a list"),
        ] {
            let error = Settings::from_file(file.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{file}: {error}");
        }
    }
}
