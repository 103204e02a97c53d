//! Services that own a part of management: an engine's own settings live where clients look for them, under the rules
//! of their neighbours.

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::stub::Stub;

/// An appliance whose engine keeps workers and GPU, and needs a license to change them.
fn fixture(settings: Settings) -> (Stub, Appliance) {
    let stub = Stub::answering("{\"count\": \"4\"}");
    let engine = json!({
        "address": stub.address.to_string(),
        "paths": ["/v1/management/maxworkers/", "/v2/management/host/gpu/"],
        "licensed": ["POST"],
    });
    let appliance = Appliance::start(&settings.service("engine", engine));
    (stub, appliance)
}

#[test]
fn a_setting_of_the_engine_is_reached_where_the_api_has_its_neighbours() {
    let (stub, appliance) = fixture(Settings::both());
    for url in [
        appliance.https("/v1/management/maxworkers"),
        appliance.http("/v1/management/maxworkers/"),
        appliance.management("/v1/management/maxworkers?a=b"),
    ] {
        let answer = appliance.read(&url).ok();
        assert_eq!(answer.json()["count"], "4", "{url}: {answer:?}");
    }
    for path in ["/v2/management/host/gpu", "/v2/management/host/gpu/config"] {
        assert_eq!(appliance.read(&appliance.https(path)).status, 401, "{path}");
        appliance.read_as("admin", &appliance.https(path)).ok();
    }
    let reached = stub.texts().concat();
    assert!(reached.contains("GET /v1/management/maxworkers?a=b HTTP/1.1\r\n"), "{reached}");
    assert!(reached.contains("GET /v2/management/host/gpu/config HTTP/1.1\r\n"), "{reached}");
    assert!(!reached.contains("Authorization"), "{reached}");
    stub.forget();

    // What the appliance serves, and what is nearly the engine's, stays the appliance's.
    appliance.read_as("admin", &appliance.https("/v2/management/host/about")).ok();
    for path in ["/v1/management/maxworkersx", "/v1/management/%6daxworkers", "/v1/management/gpu"]
    {
        assert_eq!(appliance.read(&appliance.https(path)).status, 404, "{path}");
    }
    let speech = format!("http://127.0.0.1:{}/v1/management/maxworkers", appliance.ports.speech);
    assert_eq!(appliance.read(&speech).status, 404);
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
    let log = appliance.log();
    assert!(
        log.contains("path=/v1/management/maxworkers status=200") && log.contains("service=engine"),
        "{log}"
    );
}

#[test]
fn a_setting_of_the_engine_has_the_rules_of_its_neighbours() {
    let (stub, appliance) = fixture(Settings::both());
    let url = appliance.https("/v1/management/maxworkers");
    appliance.read(&url).ok();
    let refused = appliance.post(&url, r#"{"count": "2"}"#);
    assert_eq!(refused.status, 403, "without a license: {refused:?}");
    for field in ["Origin: https://elsewhere.example", "Sec-Fetch-Site: cross-site"] {
        let refused = appliance.curl(&["-X", "PUT", "-H", field, &url]);
        assert!(refused.status == 403 && refused.out.contains("another site"), "{refused:?}");
    }
    appliance.post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "it"}"#).ok();
    stub.forget();
    let refused = appliance.read(&url);
    assert!(
        refused.status == 401 && refused.out.contains("<h1>401 Authorization Required"),
        "{refused:?}"
    );
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
    appliance.read_as("it", &url).ok();
}

#[test]
fn an_api_version_that_is_not_served_has_no_settings_of_the_engine_either() {
    let (stub, appliance) = fixture(Settings::v2());
    assert_eq!(appliance.read(&appliance.https("/v1/management/maxworkers")).status, 404);
    appliance.read_as("admin", &appliance.https("/v2/management/host/gpu")).ok();
    assert!(!stub.texts().concat().contains("maxworkers"));
}

#[test]
fn check_refuses_a_service_path_that_the_appliance_serves_itself() {
    let appliance = Appliance::prepare(&Settings::both());
    for (path, auth, why) in [
        (
            "/v2/management/host/",
            "admin",
            "overlaps with the appliance's own \"/v2/management/host/about/\"",
        ),
        (
            "/v1/management/license/extra/",
            "admin",
            "overlaps with the appliance's own \"/v1/management/license/\"",
        ),
        ("/v2/security/gpu/", "admin", "overlaps with the appliance's own \"/v2/security/\""),
        ("/v2/management/host/gpu/", "none", "is management, so it takes \"admin\" alone"),
    ] {
        let service = json!({"address": "127.0.0.1:1", "paths": [path], "auth": auth});
        let settings = Settings::both().service("engine", service);
        settings.write(&appliance.config(), appliance.folder(), &appliance.ports);
        let told = appliance.program("check", &["--settings"]);
        assert!(told.code == 1 && told.err.contains(why), "{path}: {told:?}");
    }
}
