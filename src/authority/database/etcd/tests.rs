//! Members that answer as they are told, on loopback.

#![allow(clippy::unwrap_used, clippy::panic)]

mod failures;
mod login;
mod member;
mod real;
mod scans;
mod steps;

use serde_json::{Value, json};

use self::member::{Member, Reply};
use super::{Etcd, Options};
use crate::authority::database::{Database, Key, Kind, Transaction};
use crate::store::Error;

const CODE: &str = "494953679762904933";

fn license() -> Key {
    Key::of_license(Kind::License, CODE)
}

fn store(members: &[&Member]) -> Etcd {
    let urls: Vec<&str> = members.iter().map(|member| member.url.as_str()).collect();
    Etcd::new(&Options::of(&urls.join(","), &[]).unwrap()).unwrap()
}

/// The answer to a range: nothing, or one record.
fn found(revision: u32, text: Option<&str>) -> Reply {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut answer = json!({"header": {"revision": revision.to_string()}});
    if let Some(text) = text {
        let key = base64.encode(format!("license-authority/{}", license().as_str()));
        let value = base64.encode(text);
        answer["kvs"] = json!([{"key": key, "mod_revision": revision.to_string(), "value": value}]);
    }
    Reply::Answer(200, answer)
}

fn decided(succeeded: bool) -> Reply {
    let header = json!({"revision": "9"});
    Reply::Answer(
        200,
        if succeeded {
            json!({"header": header, "succeeded": true})
        } else {
            json!({"header": header})
        },
    )
}

/// An error as etcd words it.
fn says(status: u16, words: &str) -> Reply {
    Reply::Answer(status, json!({"error": words, "message": words, "code": 14}))
}

/// Adds a letter to the text of the license.
fn grow(step: &mut dyn Transaction) -> Result<(), Error> {
    let text = step.read(&license())?.unwrap_or_default();
    step.write(license(), Some(text + "x"));
    Ok(())
}

fn transact(
    store: &Etcd,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<(), Error>,
) -> Result<(), Error> {
    store.transact(license().shard(), &mut work)
}

/// The text that a txn puts.
fn put(body: &Value) -> String {
    use base64::Engine as _;
    let value = body["success"][0]["request_put"]["value"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
    String::from_utf8(bytes).unwrap()
}
