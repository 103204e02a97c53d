//! The commands of the v1 page "SSL Configuration" (M1-5 to M1-30), in its order.

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint};
use crate::support::engine::{Engine, JOBS};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

const UPLOADED: &str =
    r#"{"success": true, "message": "certificate and private_key applied successfully"}"#;
const RESET: &str = r#"{"success": true, "message": "nginx_restart"}"#;

#[test]
fn the_commands_of_the_v1_page_answer_as_printed_when_v1_is_mounted_alone() {
    follow_the_page(Settings::v1());
}

#[test]
fn the_commands_of_the_v1_page_answer_as_printed_when_both_generations_are_mounted() {
    follow_the_page(Settings::both());
}

fn follow_the_page(settings: Settings) {
    let engine = Engine::start();
    let mut appliance = Appliance::start(&settings.speech(engine.address));
    let default_certificate = handshake(appliance.ports.https).unwrap().fingerprint;

    // Management API Examples
    let services = appliance
        .page(
            r#"curl -L -X GET "http://${APPLIANCE_HOST}:8080/v1/management/services" \
   -H 'Accept: application/json'"#,
        )
        .ok();
    assert!(services.json()["service_status"].is_array(), "{services:?}");

    let refused = appliance.page(
        r#"curl -L -X GET "https://${APPLIANCE_HOST}/v1/management/services" \
    -H 'Accept: application/json'"#,
    );
    assert_eq!(refused.code, 60, "{refused:?}");
    // Newer OpenSSL writes the hyphen, the page doesn't.
    let warning = refused.err.replace("self signed", "self-signed");
    assert!(
        warning.contains("curl: (60) SSL certificate problem: self-signed certificate"),
        "{refused:?}"
    );

    // Monitoring API Example
    let memory = appliance
        .page(r#"curl --insecure -L -X GET "https://${APPLIANCE_HOST}/monitor/api/3/mem""#)
        .ok();
    assert!(memory.json()["total"].as_u64().unwrap() > 0, "{memory:?}");

    // Speech API Example
    let jobs = appliance
        .page(r#"curl --insecure -L -X GET "https://${APPLIANCE_HOST}/v1.0/user/1/jobs/""#)
        .ok();
    assert_eq!(jobs.out, JOBS);
    assert!(
        engine.seen()[0].starts_with("GET /v1.0/user/1/jobs/ HTTP/1.1\r\n"),
        "{:?}",
        engine.seen()
    );

    // Uploading the certificate and key to the appliance
    let authority = Authority::new(appliance.folder());
    let own = authority.issue("appliance", Key::Rsa(2048));
    authority.complete(&own.cert);
    let uploaded = appliance
        .page(
            r#"curl --insecure -X POST "https://${APPLIANCE_HOST}/v1/security/sslcertificate" \
    -F "keyfile=@appliance.key" -F "certfile=@appliance.crt""#,
        )
        .ok();
    assert_eq!(uploaded.out.trim_end(), UPLOADED);
    // The page leaves --insecure out from here on: the user has made the machine trust the certificate.
    appliance.trust(authority.root());

    let seen = appliance.page("openssl s_client -connect ${APPLIANCE_HOST}:443").ok();
    assert!(seen.out.contains("subject=CN = appliance"), "{seen:?}");
    assert!(seen.out.contains("Verify return code: 0 (ok)"), "{seen:?}");
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&own.cert));

    // Disabling HTTP access
    let disabled = appliance
        .page(
            r#"curl -X POST "https://${APPLIANCE_HOST}/v1/security/insecureports" \
    -H "Content-Type: application/json" \
    -d "{ \"enable_insecure_ports\": false}""#,
        )
        .ok();
    assert_eq!(disabled.json()["success"], true, "{disabled:?}");

    let empty =
        appliance.page(r#"curl -X GET "http://${APPLIANCE_HOST}:8080/v1/management/services""#);
    assert_eq!((empty.code, empty.out.as_str()), (52, ""), "{empty:?}");
    assert!(empty.err.contains("curl: (52) Empty reply from server"), "{empty:?}");

    // Enable Basic Authentication for Admin
    let set = appliance
        .page(
            r#"curl -X POST "https://${APPLIANCE_HOST}/v1/security/adminpassword" \
  -H "Content-Type: application/json" \
  -d "{ \"password\": \"example\" }""#,
        )
        .ok();
    assert_eq!(set.json()["success"], true, "{set:?}");

    let unauthorized =
        appliance.page(r#"curl -X GET "https://${APPLIANCE_HOST}/v1/management/services""#);
    assert_eq!((unauthorized.code, unauthorized.status), (0, 401), "{unauthorized:?}");
    for line in [
        "<head><title>401 Authorization Required</title></head>",
        "<center><h1>401 Authorization Required</h1></center>",
    ] {
        assert!(unauthorized.out.lines().any(|l| l.trim_end() == line), "{unauthorized:?}");
    }

    let services = appliance
        .page(
            r#"curl --insecure -X GET --user "admin:example" "https://${APPLIANCE_HOST}/v1/management/services""#,
        )
        .ok();
    assert!(services.json()["service_status"].is_array(), "{services:?}");

    // How do I reset the SSL settings?
    let reset = appliance
        .page(
            r#"PWD=example; curl -X DELETE --user "admin:$PWD" "https://${APPLIANCE_HOST}/v1/security/reset""#,
        )
        .ok();
    assert_eq!(reset.out.trim_end(), RESET);
    appliance.distrust();
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, default_certificate);
    appliance.read(&appliance.management("/v1/management/services")).ok();
    appliance.read(&appliance.https("/v1/management/services")).ok();
}

#[test]
fn the_v1_page_asks_a_browser_for_the_password_in_html() {
    let appliance = Appliance::start(&Settings::v1());
    appliance
        .post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "example"}"#)
        .ok();
    let head =
        appliance.curl(&["-D", "-", "-o", "page", &appliance.https("/v1/management/services")]);
    let head = head.out.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 401"), "{head}");
    assert!(
        head.contains("\r\nwww-authenticate: basic realm=\"appliance\", charset=\"utf-8\"\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\ncontent-type: text/html"), "{head}");
}

#[test]
fn the_management_and_security_paths_of_v2_are_not_found_when_v1_is_mounted_alone() {
    let appliance = Appliance::start(&Settings::v1());
    for path in ["/v2/management/host/about", "/v2/management/health", "/v2/security/insecureports"]
    {
        for url in [appliance.https(path), appliance.http(path), appliance.management(path)] {
            assert_eq!(appliance.read_as("admin", &url).status, 404, "{url}");
        }
    }
    let reset = appliance.curl(&["-X", "DELETE", &appliance.https("/v2/security/reset")]);
    assert_eq!(reset.status, 404, "{reset:?}");
}
