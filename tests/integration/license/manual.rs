//! The commands of the licensing page (ML-4 to ML-30) in its order, as a user types them.

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::vendor::{EXPIRES, Vendor};

/// Every field, in the order of ML-9.
const FIELDS: [&str; 15] = [
    "licensed",
    "product",
    "subscription_expiry",
    "status",
    "message",
    "transcription_minutes_allowed",
    "license_type",
    "activation_type",
    "transcription_secs_allowed",
    "transcription_secs_allocated",
    "connected",
    "customer_id",
    "license_code",
    "computer_id",
    "error_message",
];

/// The page pipes into `jq`, which prints the same document.
fn typed(appliance: &Appliance, command: &str, code: &str) -> Output {
    appliance.page(&command.replace("494953679762904933", code).replace("494853989762904933", code))
}

fn same_but_for(document: &Value, wanted: &Value, others: &[&str]) {
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, FIELDS, "fields and their order");
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&document[key], value, "{key}: {document}");
    }
    let told = wanted.as_object().unwrap().len() + others.len();
    assert_eq!(told, FIELDS.len(), "a field is neither expected nor excused");
    let id = document["computer_id"].as_str().unwrap();
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
}

#[test]
fn the_page_on_licensing_works_from_top_to_bottom() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--activations", "1"]);
    let appliance = vendor.appliance();

    // "Checking an Appliance License": unlicensed. (The page applies first; nothing to see before.)
    const CHECK: &str = r#"curl -L -X GET "http://${APPLIANCE_HOST}:8080/v1/management/license" \
    -H 'Accept: application/json'"#;
    let unlicensed = typed(&appliance, CHECK, &code).ok().json();
    same_but_for(
        &unlicensed,
        &json!({
            "licensed": false, "product": "103", "subscription_expiry": "1970-01-01T00:00:00Z",
            "status": "-113 License status server trial expired", "message": "",
            "transcription_minutes_allowed": "0", "license_type": "", "activation_type": "",
            "transcription_secs_allowed": 0, "transcription_secs_allocated": 1_800_000,
            "connected": true, "customer_id": 4920, "license_code": "", "error_message": "",
        }),
        &["computer_id"],
    );

    // "Applying an Online License"
    let applied = typed(
        &appliance,
        r#"curl -L -X POST "http://${APPLIANCE_HOST}:8080/v1/management/license" \
   -H 'Accept: application/json' \
   -H 'Content-Type: application/json' \
   -d '{
       "license": "494953679762904933",
       "username": "Amy Liu",
       "email_address": "a-liu@example.com",
       "company_name": "Example Pty"
    }'"#,
        &code,
    )
    .ok()
    .json();
    let licensed = json!({
        "licensed": true, "product": "103", "subscription_expiry": EXPIRES,
        "status": "3 License status concurrent license", "message": "",
        "transcription_minutes_allowed": "60",
        "license_type": "6 License is concurrent subscription",
        "activation_type": "1 License was activated online",
        "transcription_secs_allowed": 3_600, "transcription_secs_allocated": 1_800_000,
        "connected": true, "customer_id": 4949, "license_code": code, "error_message": "",
    });
    same_but_for(&applied, &licensed, &["computer_id"]);
    same_but_for(&typed(&appliance, CHECK, &code).ok().json(), &licensed, &["computer_id"]);

    // "Removing a License"
    let removed = typed(
        &appliance,
        r#"curl -L -X DELETE "http://${APPLIANCE_HOST}:8080/v1/management/license" \
    -H 'Accept: application/json'"#,
        &code,
    )
    .ok();
    assert_eq!(removed.out, r#"{"transcription_secs_returned": 3600}"#);
    assert_eq!(typed(&appliance, CHECK, &code).json()["licensed"], false);

    // "Using a Proxy Server": only stored here; what it does is tried elsewhere.
    let network = typed(
        &appliance,
        r#"PROXY_HOST=127.0.0.1 PROXY_PORT=3128 PROXY_USERNAME=amy; curl -X POST "http://${APPLIANCE_HOST}:8080/v1/management/license/network" \
    -H 'Accept: application/json' \
    -H 'Content-Type: application/json' \
    -d "{ \"http_configuration\": {
        \"ip\": \"127.0.0.1\",
        \"port\": \"3128\",
        \"user\": \"amy\",
        \"password\": \"amy\"
        }
    }""#,
        &code,
    )
    .ok()
    .json();
    let shown = json!({"ip": "127.0.0.1", "port": 3128, "user": "amy", "password": "********"});
    assert_eq!(network, json!({ "http_configuration": shown }));
    let url = appliance.management("/v1/management/license/network");
    assert_eq!(appliance.read(&url).ok().json(), network);
    appliance.post(&url, "{}").ok();
    assert_eq!(appliance.read(&url).ok().json(), json!({"http_configuration": {}}));
}

#[test]
fn the_page_on_offline_activation_works_from_top_to_bottom() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = vendor.appliance();

    // "Generating an Activation Certificate"
    let request = typed(
        &appliance,
        r#"curl -L -X POST "http://${APPLIANCE_HOST}:8080/v1/management/license/offlineactivation" \
   -H 'Accept: application/json' \
   -H 'Content-Type: application/json' \
   -d '{
       "license": "494853989762904933",
       "username": "Fiona Kelly",
       "email_address": "fjk@example.com"
    }'"#,
        &code,
    )
    .ok()
    .json();
    let certificate = request["certificate"].as_str().unwrap();
    assert!(certificate.bytes().all(|b| b.is_ascii_alphanumeric()), "{certificate}");

    // "Sending the Activation Certificate", "Applying the License Certificate"
    let license = vendor.sign(certificate);
    let command = r#"curl -L -X PUT "http://${APPLIANCE_HOST}:8080/v1/management/license/offlineactivation" \
   -H 'Accept: application/json' \
   -H 'Content-Type: application/json' \
   -d '{
       "license": "494853989762904933",
       "certificate": "7bc3c6684....f46d9781cfbae3c8129505e"
    }'"#;
    let command = command.replace("7bc3c6684....f46d9781cfbae3c8129505e", &license);
    let applied = typed(&appliance, &command, &code).ok().json();
    same_but_for(
        &applied,
        &json!({
            "licensed": true, "product": "103", "subscription_expiry": EXPIRES,
            "status": "3 License status concurrent license", "message": "",
            "license_type": "6 License is concurrent subscription",
            "activation_type": "2 License was activated with a certificate",
            "transcription_secs_allocated": 1_800_000, "connected": false, "customer_id": 4949,
            "license_code": code, "error_message": "",
        }),
        &["computer_id", "transcription_secs_allowed", "transcription_minutes_allowed"],
    );
    let seconds = applied["transcription_secs_allowed"].as_u64().unwrap();
    assert!(seconds > 0);
    assert_eq!(applied["transcription_minutes_allowed"], (seconds / 60).to_string());
}

#[test]
fn the_page_on_offline_mode_works_from_top_to_bottom() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = vendor.appliance();
    let apply = format!(
        r#"curl -X POST "http://${{APPLIANCE_HOST}}:8080/v1/management/license" -d '{{"license": "{code}"}}'"#
    );
    appliance.page(&apply).ok();
    let answer = typed(
        &appliance,
        r#"curl -X POST "http://${APPLIANCE_HOST}:8080/v1/management/license/offlinemode" \
    -H 'Accept: application/json' \
    -H 'Content-Type: application/json' \
    -d '{ "offline": true}'"#,
        &code,
    )
    .ok()
    .json();
    assert_eq!((&answer["offline"], &answer["licensed"]), (&json!(true), &json!(true)));
    assert_eq!(answer["connected"], false);
    assert_eq!(answer["activation_type"], "1 License was activated online");
    let url = appliance.management("/v1/management/license/offlinemode");
    assert_eq!(appliance.read(&url).ok().json()["offline"], true);
    let back = appliance.post(&url, r#"{"offline": false}"#).ok().json();
    assert_eq!((&back["offline"], &back["connected"]), (&json!(false), &json!(true)));
}

#[test]
fn both_generations_answer_the_same_document() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    let v2 = appliance.https("/v2/management/license");
    let applied = appliance.post_as("admin", &v2, &json!({ "license": code }).to_string()).ok();
    assert_eq!(applied.json()["licensed"], true);
    let first = appliance.read(&appliance.management("/v1/management/license")).ok();
    assert_eq!(first.out, appliance.read_as("admin", &v2).ok().out);
}

#[test]
fn an_update_at_the_vendor_arrives_when_the_services_are_restarted() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    let license = appliance.management("/v1/management/license");
    appliance.post(&license, &json!({ "license": code }).to_string()).ok();
    vendor.ok(&["extend", &code, "--expires", "2098-01-01T00:00:00Z"]);
    let services = appliance.management("/v1/management/services");
    appliance.curl(&["-X", "DELETE", &services]).ok();
    crate::support::wait::until(crate::support::wait::SOON, "the new end is known", || {
        let expiry = appliance.read(&license).ok().json()["subscription_expiry"].clone();
        (expiry == "2098-01-01T00:00:00Z").then_some(())
    });
}
