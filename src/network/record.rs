//! `network.json`: the settings that hold, and a change that is not finished.
//!
//! It is on disk before the image's command hears of a change, so that a daemon that starts anew, after a crash or
//! a power cut, knows what it has to finish or to undo.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::log::Log;
use crate::store::{self, Folder};
use crate::util::json;

const FILE: &str = "network.json";
const VERSION: u64 = 1;

/// Largest file in bytes; a real one has about five hundred.
const LARGEST: u64 = 16 << 10;

/// The contents of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The last settings that were made here; without any, the image's own hold.
    pub(super) kept: Option<Settings>,
    pub(super) change: Option<Change>,
}

/// A change that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) wanted: Settings,
    /// It was confirmed, so it is to be kept; otherwise it is to be undone.
    pub(super) confirmed: bool,
}

impl Record {
    /// Reads the file. A damaged one is set aside: the image's command knows which settings it has kept.
    pub(super) fn load(folder: &Folder, log: &Log) -> Result<Record, store::Error> {
        let Some(text) = folder.view().read(FILE, LARGEST)? else { return Ok(Record::default()) };
        Record::from_file(&text).or_else(|fault| {
            let aside = folder.set_aside(FILE, SystemTime::now())?;
            log.warn(format_args!(
                "network.json is damaged ({fault}) and was moved to {}; the network itself stays as it is",
                aside.display()
            ));
            Ok(Record::default())
        })
    }

    pub(super) fn save(&self, folder: &Folder) -> Result<(), store::Error> {
        let mut members = json!({"version": VERSION});
        if let Some(kept) = &self.kept {
            members["kept"] = kept.to_members().into();
        }
        if let Some(change) = &self.change {
            let word = if change.confirmed { "confirmed" } else { "trial" };
            members[word] = change.wanted.to_members().into();
        }
        folder.replace(FILE, format!("{members:#}\n").as_bytes())
    }

    fn from_file(text: &[u8]) -> Result<Record, String> {
        let mut members = json::versioned(text, VERSION)?;
        let kept = settings(&mut members, "kept")?;
        let trial = settings(&mut members, "trial")?;
        let confirmed = settings(&mut members, "confirmed")?;
        if let Some(unknown) = members.keys().next() {
            return Err(json::unknown_key(unknown, &["version", "kept", "trial", "confirmed"]));
        }
        let change = match (trial, confirmed) {
            (None, None) => None,
            (Some(wanted), None) => Some(Change { wanted, confirmed: false }),
            (None, Some(wanted)) => Some(Change { wanted, confirmed: true }),
            (Some(_), Some(_)) => return Err("it has two changes".to_owned()),
        };
        Ok(Record { kept, change })
    }
}

fn settings(members: &mut Map<String, Value>, name: &str) -> Result<Option<Settings>, String> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::Object(members)) => Settings::from_members(&members).map(Some),
        Some(_) => Err(format!("{name} is not an object")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::{Change, FILE, Record, Settings};
    use crate::log::Log;
    use crate::network::settings::Static;
    use crate::store::{Folder, Scratch};

    #[test]
    fn what_is_saved_is_loaded() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        let fixed = Static::parse("192.0.2.7", "24", "192.0.2.1", &["192.0.2.53"]).unwrap();
        let fixed = Settings { fixed: Some(fixed), hostname: Some("a".to_owned()) };
        let dhcp = Settings { fixed: None, hostname: None };
        let change = |confirmed| Some(Change { wanted: fixed.clone(), confirmed });
        for record in [
            Record::default(),
            Record { kept: Some(dhcp.clone()), change: None },
            Record { kept: Some(dhcp.clone()), change: change(false) },
            Record { kept: None, change: change(true) },
        ] {
            record.save(&folder).unwrap();
            assert_eq!(Record::load(&folder, &Log::to(|_| {})).unwrap(), record);
        }
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_told() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        let folder = Folder::open(&root, &[]).unwrap();
        for text in [
            "",
            "{",
            r#"{"version": 2}"#,
            r#"{"version": 1, "kept": 1}"#,
            r#"{"version": 1, "more": {}}"#,
            r#"{"version": 1, "kept": {"method": "static", "address": "x"}}"#,
        ] {
            fs::write(root.join(FILE), text).unwrap();
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(root.join(FILE), PermissionsExt::from_mode(0o600)).unwrap();
            assert_eq!(Record::load(&folder, &Log::to(|_| {})).unwrap(), Record::default());
            assert!(!root.join(FILE).exists(), "{text}");
        }
    }
}
