//! The commands of the v2 page "SSL Configuration" (M2-4 to M2-22), in its order.
//!
//! Out: the page's one line with the vendor's own WebSocket client, which is not ours to install.

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint};
use crate::support::engine::{Engine, JOBS};
use crate::support::settings::Settings;
use crate::support::tls::handshake;
use crate::support::wait::{SOON, until};

const UPLOADED: &str =
    r#"{"success": true, "message": "certificate and private_key applied successfully"}"#;
const RESET: &str = r#"{"success": true, "message": "nginx_restart"}"#;

/// The value the page puts after `users:` in its secret; the password it stands for is `admin`.
const USERS: &str =
    "YWRtaW46JDJ5JDA1JFExeFBVUFJyRG96LzQwWEZuN09aVHVtV1dzallUeWlhOHo1ZUkvWHpHRUhSUng0dXRyM2UyCg==";

#[test]
fn the_commands_of_the_v2_page_answer_as_printed_when_v2_is_mounted_alone() {
    follow_the_page(Settings::v2());
}

#[test]
fn the_commands_of_the_v2_page_answer_as_printed_when_both_generations_are_mounted() {
    follow_the_page(Settings::both());
}

fn follow_the_page(settings: Settings) {
    let engine = Engine::start();
    let mut appliance = Appliance::start(&settings.speech(engine.address));
    let default_certificate = handshake(appliance.ports.https).unwrap().fingerprint;

    // Management API Examples
    let about = appliance
        .page(
            r#"PWD=admin; curl -L -u admin:$PWD -X 'GET' \
"http://${APPLIANCE_HOST}/v2/management/host/about""#,
        )
        .ok();
    assert!(about.json()["appliance_version"].is_string(), "{about:?}");

    let refused = appliance.page(
        r#"PWD=admin; curl -L -u admin:$PWD -X 'GET' \
"https://${APPLIANCE_HOST}/v2/management/host/about""#,
    );
    assert_eq!(refused.code, 60, "{refused:?}");
    // Newer OpenSSL writes the hyphen, the page doesn't.
    let warning = refused.err.replace("self signed", "self-signed");
    assert!(
        warning.contains("curl: (60) SSL certificate problem: self-signed certificate"),
        "{refused:?}"
    );

    // Speech API Example
    let jobs =
        appliance.page(r#"curl --insecure -L -X 'GET' "https://${APPLIANCE_HOST}/v2/jobs/""#).ok();
    assert_eq!(jobs.out, JOBS);
    assert!(engine.seen()[0].starts_with("GET /v2/jobs/ HTTP/1.1\r\n"), "{:?}", engine.seen());

    // Uploading the Certificate and Key to the Appliance
    let authority = Authority::new(appliance.folder());
    let own = authority.issue("appliance", Key::Rsa(2048));
    authority.complete(&own.cert);
    let uploaded = appliance
        .page(
            r#"PWD=admin; curl --insecure -L -u admin:$PWD -X 'POST' "https://${APPLIANCE_HOST}/v2/security/sslcertificate" \
-F "keyfile=@appliance.key" -F "certfile=@appliance.crt""#,
        )
        .ok();
    assert_eq!(uploaded.out.trim_end(), UPLOADED);
    // The page leaves --insecure out where HTTPS is used with the user's own certificate.
    appliance.trust(authority.root());

    let seen = appliance.page("openssl s_client -connect ${APPLIANCE_HOST}:443").ok();
    assert!(seen.out.contains("subject=CN = appliance"), "{seen:?}");
    assert!(seen.out.contains("Verify return code: 0 (ok)"), "{seen:?}");
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&own.cert));

    // Disabling HTTP Access
    let disabled = appliance
        .page(
            r#"PWD=admin; curl -L -u admin:$PWD -X 'POST' \
"http://${APPLIANCE_HOST}/v2/security/insecureports" \
-H "Content-Type: application/json" \
-d '{"enable_insecure_ports": false}'"#,
        )
        .ok();
    assert_eq!(disabled.json()["success"], true, "{disabled:?}");

    // The page prints the lines that curl shows with -v.
    let redirected =
        appliance.page(r#"curl -v -X 'GET' "http://${APPLIANCE_HOST}/v2/management/host/about""#);
    assert_eq!(redirected.code, 0, "{redirected:?}");
    let location =
        format!("< Location: https://localhost:{}/v2/management/host/about", appliance.ports.https);
    for line in ["< HTTP/1.1 301 Moved Permanently", location.as_str()] {
        assert!(redirected.err.lines().any(|l| l.trim_end() == line), "{line}: {redirected:?}");
    }

    // Configure Basic Authentication for Admin
    let set = appliance
        .page(
            r#"curl --insecure -L -u admin:admin -X 'POST' \
"https://${APPLIANCE_HOST}/v2/security/adminpassword" \
-H 'Content-Type: application/json' \
-d '{ "password": "example" }'"#,
        )
        .ok();
    assert_eq!(set.json()["success"], true, "{set:?}");

    // The page's remaining commands use plain HTTP, which its own earlier command has turned into a
    // redirect; their answers are those of an appliance with HTTP on.
    let insecureports = appliance.https("/v2/security/insecureports");
    appliance.post_as("example", &insecureports, r#"{"enable_insecure_ports": true}"#).ok();

    let unauthorized =
        appliance.page(r#"curl -X 'GET' "http://${APPLIANCE_HOST}/v2/management/host/about""#);
    assert_eq!((unauthorized.code, unauthorized.status), (0, 401), "{unauthorized:?}");
    assert_eq!(unauthorized.out.trim_end(), "401 Unauthorized");

    let about = appliance
        .page(
            r#"PWD=example; curl -L --user "admin:$PWD" -X GET "http://${APPLIANCE_HOST}/v2/management/host/about""#,
        )
        .ok();
    assert!(about.json()["appliance_version"].is_string(), "{about:?}");

    // How do I Reset the SSL settings?
    let reset = appliance
        .page(
            r#"PWD=example; curl -L -u "admin:$PWD" -X 'DELETE' "http://${APPLIANCE_HOST}/v2/security/reset""#,
        )
        .ok();
    assert_eq!(reset.out.trim_end(), RESET);
    appliance.distrust();
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, default_certificate);
    appliance.read_as("admin", &appliance.https("/v2/management/host/about")).ok();
}

#[test]
fn the_value_the_v2_page_gives_for_a_forgotten_password_makes_it_admin_without_a_restart() {
    let appliance = Appliance::start(&Settings::v2());
    let about = appliance.https("/v2/management/host/about");
    let set = appliance.https("/v2/security/adminpassword");
    appliance.post_as("admin", &set, r#"{"password": "forgotten"}"#).ok();
    assert_eq!(appliance.read_as("admin", &about).status, 401);

    let written = appliance.shell(&format!("echo {USERS} | base64 -d > state/admin.htpasswd"));
    assert_eq!(written.code, 0, "{written:?}");
    // A look too early counts as a wrong guess, so each comes from another address.
    let mut addresses = (2..=250).map(|last| format!("127.0.0.{last}"));
    until(SOON, "the page's value is taken in", || {
        let from = addresses.next()?;
        let looked = appliance.curl(&["--interface", &from, "-u", "admin:admin", &about]);
        (looked.status == 200).then_some(())
    });
    assert_eq!(appliance.read_as("forgotten", &about).status, 401);
}

#[test]
fn the_v2_page_asks_for_the_password_in_plain_text() {
    let appliance = Appliance::start(&Settings::v2());
    for url in
        [appliance.https("/v2/management/host/about"), appliance.http("/v2/management/host/about")]
    {
        let head = appliance.curl(&["-D", "-", "-o", "page", &url]).out.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 401"), "{head}");
        assert!(
            head.contains("\r\nwww-authenticate: basic realm=\"appliance\", charset=\"utf-8\"\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\ncontent-type: text/plain"), "{head}");
    }
}

#[test]
fn a_post_that_meets_the_redirect_is_told_to_stay_a_post() {
    let appliance = Appliance::start(&Settings::v2());
    let url = appliance.https("/v2/security/insecureports");
    appliance.post_as("admin", &url, r#"{"enable_insecure_ports": false}"#).ok();
    let sent = appliance.post_as("admin", &appliance.http("/v2/security/reset?a=b"), "{}");
    assert_eq!(sent.status, 308, "{sent:?}");
    let head = appliance.curl(&["-i", "-d", "{}", &appliance.http("/v2/security/reset?a=b")]).out;
    let target = format!("https://127.0.0.1:{}/v2/security/reset?a=b", appliance.ports.https);
    assert!(head.contains(&target), "{head}");
}

#[test]
fn a_monitoring_port_redirects_under_the_monitor_path() {
    let appliance = Appliance::start(&Settings::v2());
    let url = appliance.https("/v2/security/insecureports");
    appliance.post_as("admin", &url, r#"{"enable_insecure_ports": false}"#).ok();
    let url = format!("http://localhost:{}/api/3/mem?x=1", appliance.ports.v2_monitoring);
    let head = appliance.curl(&["-i", &url]);
    assert_eq!(head.status, 301, "{head:?}");
    let target = format!("https://localhost:{}/monitor/api/3/mem?x=1", appliance.ports.https);
    assert!(head.out.contains(&target), "{head:?}");
}

#[test]
fn the_management_and_security_paths_of_v1_are_not_found_when_v2_is_mounted_alone() {
    let appliance = Appliance::start(&Settings::v2());
    for path in
        ["/v1/management/services", "/v1/management/host/about", "/v1/security/insecureports"]
    {
        for url in [appliance.https(path), appliance.http(path), appliance.management(path)] {
            assert_eq!(appliance.read_as("admin", &url).status, 404, "{url}");
        }
    }
    let url = appliance.https("/v1/security/reset");
    let reset = appliance.curl(&["-u", "admin:admin", "-X", "DELETE", &url]);
    assert_eq!(reset.status, 404, "{reset:?}");
}
