//! Reads and writes a license as the JSON of its file.

use serde_json::{Value, json};

use crate::license::protocol::fields::{Error, Fields, computer_id};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, User};

use super::balance::Balance;
use super::license::{Activation, License, Status, Terms};
use super::replay_ids::ReplayIds;

const VERSION: i64 = 1;

impl License {
    pub(crate) fn to_json(&self) -> Value {
        let refused =
            self.refused.iter().map(|(id, denial)| json!([id.to_string(), denial.name()]));
        let takeovers = self.takeovers.iter().map(|(time, computer)| json!([time, computer]));
        let mut value = json!({"v": VERSION});
        merge(&mut value, json!(self.terms));
        merge(&mut value, json!(self.balance));
        merge(
            &mut value,
            json!({
                "status": self.status,
                "activations": self.activations.iter().map(Activation::to_json).collect::<Vec<_>>(),
                "activated": self.activated.to_text(),
                "refused": refused.collect::<Vec<_>>(),
                "takeovers": takeovers.collect::<Vec<_>>(),
            }),
        );
        value
    }

    /// Reads the file's content; its seconds must add up.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn from_json(value: &Value) -> Result<License, Error> {
        let fields = Fields::of(value)?;
        fields.version(VERSION)?;
        let activations = fields.array("activations")?.iter().map(Activation::from_json);
        let license = License {
            terms: Terms::read(&fields)?,
            status: fields.parsed("status", "active, suspended or revoked", Status::parse)?,
            balance: Balance::read(&fields)?,
            activations: activations.collect::<Result<_, _>>()?,
            activated: fields.parsed("activated", "a list of ids", ReplayIds::parse)?,
            refused: pairs(&fields, "refused", |id, reason| {
                Some((RequestId::parse(id.as_str()?)?, Denial::parse(reason.as_str()?)?))
            })?,
            takeovers: pairs(&fields, "takeovers", |time, computer| {
                Some((time.as_i64()?, computer.as_str()?.to_owned()))
            })?,
        };
        if license.is_consistent() { Ok(license) } else { Err("its seconds do not add up".into()) }
    }
}

/// Adds the members of `other`.
fn merge(value: &mut Value, other: Value) {
    if let (Value::Object(value), Value::Object(other)) = (value, other) {
        value.extend(other);
    }
}

fn pairs<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Value, &Value) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let pair = |value: &Value| match value.as_array()?.as_slice() {
        [first, second] => read(first, second),
        _ => None,
    };
    let read = fields.array(name)?.iter().map(pair).collect::<Option<_>>();
    read.ok_or_else(|| format!("`{name}` holds something else").into())
}

impl Activation {
    fn to_json(&self) -> Value {
        let mut value = json!({
            "device": self.device,
            "computer_id": self.computer_id,
            "open": self.open,
            "epoch": self.epoch,
            "seq": self.seq,
            "last": self.last,
            "also": self.reissued,
            "granted": self.granted,
            "consumed": self.consumed,
            "ids": self.ids.to_text(),
            "kept": self.last_answer.as_ref().map(Answer::to_json),
            "moves": self.moves,
            "offline": self.offline,
            "heard": self.last_contact,
            "version": self.version,
            "log_head": self.log_head,
            "regressions": self.regressions,
        });
        merge(&mut value, json!(self.user));
        value
    }

    fn from_json(value: &Value) -> Result<Activation, Error> {
        let fields = Fields::of(value)?;
        let moves = fields.array("moves")?.iter().map(Value::as_i64).collect::<Option<_>>();
        let digest = |value: &Value| value.as_str().and_then(Digest::parse);
        let also = fields.array("also")?.iter().map(digest).collect::<Option<_>>();
        let last_answer = match &value["kept"] {
            Value::Null => None,
            answer => Some(Answer::from_json(answer)?),
        };
        Ok(Activation {
            device: fields.digest("device")?,
            computer_id: fields.parsed("computer_id", "a UUID", computer_id)?,
            open: fields.flag("open")?,
            epoch: fields.count("epoch")?,
            seq: fields.count("seq")?,
            last: fields.digest("last")?,
            reissued: also.ok_or("`also` holds something that is no digest")?,
            granted: fields.count("granted")?,
            consumed: fields.count("consumed")?,
            ids: fields.parsed("ids", "a list of ids", ReplayIds::parse)?,
            last_answer,
            moves: moves.ok_or("`moves` holds something that is no time")?,
            offline: fields.flag("offline")?,
            last_contact: fields.number("heard")?,
            version: fields.text("version", 256)?,
            log_head: fields.digest("log_head")?,
            regressions: fields.count("regressions")?,
            user: User::read(&fields)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::License;
    use crate::authority::accounting::model::busy_license;

    #[test]
    fn a_license_is_read_as_it_was_written() {
        for seed in 0..20 {
            let license = busy_license(seed);
            assert!(!license.activations.is_empty());
            assert_eq!(License::from_json(&license.to_json()), Ok(license));
        }
    }

    #[test]
    fn a_license_whose_seconds_do_not_add_up_is_refused() {
        let license = busy_license(1);
        for name in ["allocated", "left", "charged"] {
            let mut value = license.to_json();
            value[name] = (value[name].as_i64().unwrap() + 1).into();
            assert_eq!(
                License::from_json(&value).unwrap_err().to_string(),
                "its seconds do not add up"
            );
        }
        let mut value = license.to_json();
        value["v"] = 2.into();
        assert!(License::from_json(&value).unwrap_err().to_string().contains("version 2"));
    }
}
