//! `acme.json`: who issues the certificate, our account there, and how far the order is.

use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::Acme;
use crate::license::protocol::fields::{self, Fields, text};
use crate::security::{Source, Summary};
use crate::util::{json, utc};

/// Incremented when the meaning of the file changes; any other number is rejected.
const VERSION: u64 = 1;

/// The contents of `acme.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::security) enum AcmeFile {
    /// Somebody ended what the settings ask for.
    Off,
    On(Arc<AcmeRecord>),
}

/// What is known of an authority that issues the certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AcmeRecord {
    pub(crate) config: Acme,
    /// Whether the settings ask for it, and not somebody through the API.
    pub(in crate::security) from_settings: bool,
    /// The key of our account, PKCS#8 in PEM. It is on the disk before the authority hears of it, so that no
    /// second account is made after a power cut.
    pub(in crate::security) account_key: Zeroizing<String>,
    /// The URL of our account.
    pub(in crate::security) account: Option<String>,
    pub(in crate::security) order: Option<Order>,
    /// When the certificate that came last will be renewed, in seconds since 1970; `None` before the first.
    pub(crate) renewal: Option<i64>,
    /// Why the last attempt failed; `None` after one that succeeded.
    pub(crate) failure: Option<Failure>,
}

/// An order that has not ended. Its certificate's key is on the disk before the authority sees the order.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::security) struct Order {
    /// Key and request, as `tls/request.pem` has them.
    pub(in crate::security) request: Zeroizing<String>,
    /// `None` before the authority has answered.
    pub(in crate::security) url: Option<String>,
}

/// Attempts that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The first of them, in seconds since 1970.
    pub(crate) since: i64,
    /// How many.
    pub(crate) attempts: u64,
    /// What went wrong in the last, and what to do.
    pub(crate) message: String,
    /// When the next attempt is made, in seconds since 1970.
    pub(crate) retry: i64,
}

impl std::fmt::Debug for AcmeRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AcmeRecord({:?}, {:?})", self.config, self.failure)
    }
}

impl AcmeRecord {
    /// A record of which the authority has not heard yet.
    pub(in crate::security) fn new(config: Acme, account_key: Zeroizing<String>) -> AcmeRecord {
        AcmeRecord {
            config,
            from_settings: false,
            account_key,
            account: None,
            order: None,
            renewal: None,
            failure: None,
        }
    }

    /// Whether the certificate in force, of which `summary` tells, came from the authority.
    pub(crate) fn has_issued(&self, summary: &Summary) -> bool {
        self.renewal.is_some() && summary.source == Source::Uploaded
    }

    /// Whether the certificate in force came from the authority, and nothing is known that hinders its renewal.
    pub(crate) fn renews(&self, summary: &Summary) -> bool {
        self.has_issued(summary) && self.failure.is_none()
    }

    /// Why the last attempt failed, and when the next is made, as a sentence.
    pub(crate) fn trouble(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(format!(
            "no certificate from {} (attempt {}): {}; the next attempt is at {}",
            self.config.directory,
            failure.attempts,
            failure.message,
            utc::format(failure.retry)
        ))
    }

    /// When the authority is asked next, in seconds since 1970.
    pub(in crate::security) fn due(&self) -> i64 {
        match &self.failure {
            Some(failure) => failure.retry,
            None => self.renewal.unwrap_or(i64::MIN),
        }
    }

    /// The members of `GET acme`, in their order, without a secret; `None` is off.
    pub(crate) fn to_public_json(record: Option<&AcmeRecord>) -> Value {
        let Some(record) = record else {
            return json!({"enabled": false});
        };
        let status = match (&record.failure, record.renewal) {
            (Some(_), _) => "failing",
            (None, None) => "ordering",
            (None, Some(_)) => "valid",
        };
        let mut members = json!({"enabled": true, "status": status});
        if let Some(renewal) = record.renewal {
            members["renewal"] = json!(utc::format(renewal));
        }
        if let Some(failure) = &record.failure {
            members["error"] = failure.to_json();
        }
        if let (Some(members), Value::Object(config)) =
            (members.as_object_mut(), record.config.to_public_json())
        {
            members.extend(config);
        }
        members
    }
}

impl Failure {
    fn to_json(&self) -> Value {
        json!({
            "since": utc::format(self.since),
            "attempts": self.attempts,
            "message": self.message,
            "retry": utc::format(self.retry),
        })
    }
}

impl AcmeFile {
    /// # Errors
    /// What is wrong with the file.
    pub(in crate::security) fn from_file(contents: &[u8]) -> Result<AcmeFile, String> {
        let members = Value::Object(json::versioned(contents, VERSION)?);
        if members["off"] == true {
            return Ok(AcmeFile::Off);
        }
        let record = AcmeRecord::read(&members).map_err(|error| error.to_string())?;
        Ok(AcmeFile::On(Arc::new(record)))
    }

    pub(in crate::security) fn to_file(&self) -> Zeroizing<Vec<u8>> {
        let members = match self {
            AcmeFile::Off => json!({"version": VERSION, "off": true}),
            AcmeFile::On(record) => to_json(record),
        };
        Zeroizing::new(format!("{members:#}\n").into_bytes())
    }
}

fn to_json(record: &AcmeRecord) -> Value {
    let mut members = json!({
        "version": VERSION,
        "config": record.config.to_json(),
        "account_key": record.account_key.as_str(),
    });
    if record.from_settings {
        members["from_settings"] = json!(true);
    }
    if let Some(account) = &record.account {
        members["account"] = json!(account);
    }
    if let Some(order) = &record.order {
        members["order"] = json!({"request": order.request.as_str()});
        if let Some(url) = &order.url {
            members["order"]["url"] = json!(url);
        }
    }
    if let Some(renewal) = record.renewal {
        members["renewal"] = json!(utc::format(renewal));
    }
    if let Some(failure) = &record.failure {
        members["failure"] = failure.to_json();
    }
    members
}

const MEMBERS: [&str; 7] =
    ["config", "from_settings", "account_key", "account", "order", "renewal", "failure"];

/// Longest text that is kept.
const LONGEST: usize = 64 << 10;

impl AcmeRecord {
    fn read(members: &Value) -> Result<AcmeRecord, fields::Error> {
        let fields = Fields::of(members)?;
        fields.known(&MEMBERS)?;
        Ok(AcmeRecord {
            config: Acme::from_json(members["config"].clone())
                .map_err(|error| format!("config: {error}"))?,
            from_settings: members["from_settings"] == true,
            account_key: fields.text("account_key", LONGEST)?.into(),
            account: fields.optional("account", "a text", text)?,
            order: fields.present("order", |order| {
                let request = order.text("request", LONGEST)?.into();
                Ok(Order { request, url: order.optional("url", "a text", text)? })
            })?,
            renewal: fields.optional("renewal", "a time", utc::parse)?,
            failure: fields.present("failure", |failure| {
                Ok(Failure {
                    since: failure.parsed("since", "a time", utc::parse)?,
                    attempts: failure.unsigned("attempts")?,
                    message: failure.text("message", LONGEST)?,
                    retry: failure.parsed("retry", "a time", utc::parse)?,
                })
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use serde_json::json;

    use super::{AcmeFile, AcmeRecord, Failure, Order};
    use crate::config::Acme;

    fn record() -> AcmeRecord {
        let config = json!({"directory": "https://ca.example/", "names": ["box.example"]});
        AcmeRecord::new(Acme::from_json(config).unwrap(), "s3cret key".to_owned().into())
    }

    #[test]
    fn what_is_written_reads_back() {
        let whole = AcmeRecord {
            from_settings: true,
            account: Some("https://ca.example/account/1".to_owned()),
            order: Some(Order {
                request: "s3cret request".to_owned().into(),
                url: Some("https://ca.example/order/1".to_owned()),
            }),
            renewal: Some(1_800_000_000),
            failure: Some(Failure {
                since: 1_800_000_000,
                attempts: 3,
                message: "why".to_owned(),
                retry: 1_800_000_060,
            }),
            ..record()
        };
        for file in [AcmeFile::Off, AcmeFile::On(record().into()), AcmeFile::On(Arc::new(whole))] {
            assert_eq!(AcmeFile::from_file(&file.to_file()).unwrap(), file);
            assert!(!format!("{file:?}").contains("s3cret"), "{file:?}");
        }
    }

    #[test]
    fn anything_not_understood_is_damage() {
        let good = String::from_utf8(AcmeFile::On(record().into()).to_file().to_vec()).unwrap();
        for (file, what) in [
            (String::new(), "not a JSON object"),
            ("{}".to_owned(), "version is not 1"),
            (r#"{"version": 1}"#.to_owned(), "config: "),
            (good.replace("https:", "http:"), "config: "),
            (good.replace("account_key", "account"), "`account_key` is missing"),
            (good.replace("\"version\"", "\"x\": 1, \"version\""), "unknown key"),
            (good.replace("\"version\"", "\"order\": {}, \"version\""), "`request` is missing"),
            (good.replace("\"version\"", "\"renewal\": \"x\", \"version\""), "not a time"),
        ] {
            let error = AcmeFile::from_file(file.as_bytes()).unwrap_err();
            assert!(error.contains(what), "{file}: {error}");
        }
    }
}
