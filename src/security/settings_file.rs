//! `security.json`: the two switches, and the files that a committed change still has to discard.

use serde_json::{Map, Value, json};

use super::names;
use crate::util::json;

/// Incremented when the meaning of the file changes; any other number is rejected.
const VERSION: u64 = 1;

/// The contents of `security.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingsFile {
    /// Whether plain HTTP is served.
    pub(super) plain_http: bool,
    /// If false, an absent password file lets v2 clients in; a present file always counts.
    pub(super) authentication: bool,
    /// Files that count as removed since the last commit and may still exist.
    pub(super) discard: Vec<&'static str>,
}

impl SettingsFile {
    /// The settings of a new or reset appliance (M1-2, M1-21, M1-29).
    pub(super) const DEFAULT: SettingsFile =
        SettingsFile { plain_http: true, authentication: true, discard: Vec::new() };

    /// The settings while the file is damaged: the most restrictive ones.
    pub(super) const FAIL_CLOSED: SettingsFile =
        SettingsFile { plain_http: false, authentication: true, discard: Vec::new() };

    /// # Errors
    /// What is wrong with the file. An unknown version or key is an error, because it may be a restriction
    /// that this version doesn't know.
    pub(super) fn from_file(contents: &[u8]) -> Result<SettingsFile, String> {
        let mut members = json::versioned(contents, VERSION)?;
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
            None => Ok(SettingsFile { plain_http, authentication, discard }),
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

/// Only files that a reset discards are allowed, so that the key can't be used to delete others.
fn discard(members: &mut Map<String, Value>) -> Result<Vec<&'static str>, String> {
    let named = match members.remove("discard") {
        None => return Ok(Vec::new()),
        Some(Value::Array(named)) => named,
        Some(_) => return Err("discard is not a list".to_owned()),
    };
    let known = |name: &Value| names::DISCARDABLE.into_iter().find(|known| name == known);
    named
        .iter()
        .map(|name| known(name).ok_or_else(|| "discard names an unknown file".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::SettingsFile;

    #[test]
    fn what_is_written_reads_back() {
        for settings in [
            SettingsFile::DEFAULT,
            SettingsFile::FAIL_CLOSED,
            SettingsFile {
                plain_http: true,
                authentication: false,
                discard: vec!["tls/uploaded.pem", "admin.htpasswd"],
            },
        ] {
            assert_eq!(SettingsFile::from_file(&settings.to_file()).unwrap(), settings);
            let by_windows = [b"\xef\xbb\xbf", &settings.to_file()[..]].concat();
            assert_eq!(SettingsFile::from_file(&by_windows).unwrap(), settings);
        }
    }

    #[test]
    fn anything_not_understood_is_damage() {
        for (file, why) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"version":1,"plain_http":tr"#, "not a JSON object"),
            (r#"{"plain_http":true,"authentication":"on"}"#, "version is not 1"),
            (r#"{"version":2,"plain_http":true,"authentication":"on"}"#, "version is not 1"),
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
            let error = SettingsFile::from_file(file.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{file}: {error}");
        }
    }
}
