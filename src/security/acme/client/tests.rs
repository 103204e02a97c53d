#![allow(clippy::unwrap_used, clippy::panic)]

mod authority;
mod failures;
mod flow;

use std::io::Write;

use serde_json::{Value, json};

use self::authority::http;

/// The directory of a scripted authority, with every resource.
fn directory(base: &str) -> Value {
    json!({
        "newNonce": format!("{base}/nonce"),
        "newAccount": format!("{base}/account"),
        "newOrder": format!("{base}/order"),
        "renewalInfo": format!("{base}/renewal"),
        "keyChange": "ignored",
    })
}

fn say(to: &mut dyn Write, status: &str, fields: &str, body: &Value) {
    let _ = to.write_all(http(status, fields, &body.to_string()).as_bytes());
}
