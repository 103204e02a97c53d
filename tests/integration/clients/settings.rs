//! The settings about clients: what `check` says of them.

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

fn check(management_from: Value, more: &Value) -> String {
    let mut listener = json!({"address": "127.0.0.1:0", "serves": "all"});
    for (key, value) in more.as_object().unwrap() {
        listener[key] = value.clone();
    }
    let settings =
        Settings::both().with("listen", json!([listener])).with("management_from", management_from);
    let checked = Appliance::prepare(&settings).program("check", &["--settings"]);
    format!("{}{}", checked.out, checked.err)
}

#[test]
fn networks_are_shown_as_they_are_understood() {
    let told = check(
        json!(["::ffff:10.0.0.0/104", "FD00::/8"]),
        &json!({"allow": ["192.0.2.7/32"], "trusted_proxies": ["10.1.2.3"], "proxy_protocol": true}),
    );
    let shown: Value = serde_json::from_str(&told).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert_eq!(shown["management_from"], json!(["10.0.0.0/8", "fd00::/8"]));
    let listener = &shown["listen"][0];
    assert_eq!(listener["allow"], json!(["192.0.2.7"]));
    assert_eq!(listener["trusted_proxies"], json!(["10.1.2.3"]));
    assert_eq!(listener["proxy_protocol"], json!(true));
}

#[test]
fn what_would_let_in_whom_nobody_meant_is_a_mistake() {
    let from = || json!(["10.0.0.0/8"]);
    for (management_from, listener, wanted) in [
        (json!([]), json!({}), "management_from: expected 1 to 256 addresses or networks"),
        (json!("10.0.0.0/8"), json!({}), "management_from: expected an array"),
        (
            json!(["10.0.0.1/8"]),
            json!({}),
            "management_from[0]: has bits beyond its length; say \"10.0.0.0/8\"",
        ),
        (
            from(),
            json!({"allow": ["intranet"]}),
            "listen[0].allow[0]: expected an IP address or a network",
        ),
        (from(), json!({"allow": [10]}), "listen[0].allow[0]: expected an IP address or a network"),
        (from(), json!({"alow": ["10.0.0.0/8"]}), "did you mean \"allow\"?"),
        (
            from(),
            json!({"proxy_protocol": true}),
            "listen[0].proxy_protocol: needs \"trusted_proxies\"",
        ),
        (
            from(),
            json!({"proxy_protocol": true, "trusted_proxies": []}),
            "listen[0].trusted_proxies: expected 1 to 256",
        ),
    ] {
        let told = check(management_from, &listener);
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}
