//! `Strict-Transport-Security`: over HTTPS alone, once in a response, and only with a certificate of one's own.

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form};
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::Stub;

const OURS: &str = "Strict-Transport-Security: max-age=31536000";

/// A service with an opinion of its own, and an interim response before its response.
fn opinionated() -> Stub {
    Stub::start(|visit| {
        while visit.request().is_some() {
            visit.say(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=5; preload\r\nContent-Length: 2\r\n\r\nhi",
            );
        }
    })
}

fn appliance(service: &Stub, max_age: u32) -> Appliance {
    let own = json!({"address": service.address.to_string(), "paths": ["/own/"], "auth": "none"});
    let settings = Settings::v1().service("own", own).with("hsts_max_age", json!(max_age));
    Appliance::start(&settings)
}

/// The lines of the field in a response and its interim responses.
fn told(appliance: &Appliance, arguments: &[&str]) -> Vec<String> {
    let shown = appliance.curl(&[&["-i"], arguments].concat());
    assert!(shown.status >= 200, "{shown:?}");
    let (heads, _) = shown.out.rsplit_once("\r\n\r\n").unwrap();
    if let Some((interim, _)) = heads.split_once("\r\n\r\n") {
        assert!(!interim.contains("Strict-"), "{interim}");
    }
    let is_field =
        |line: &&str| line.to_ascii_lowercase().starts_with("strict-transport-security:");
    heads.lines().filter(is_field).map(str::to_owned).collect()
}

/// Responses of every origin: a service, the management API from memory and with work, the page, the gate's own.
const PATHS: [&str; 6] = [
    "/own/x",
    "/v1/management/ping",
    "/v1/security/sslcertificate",
    "/",
    "/nothing/at/this/path",
    "/%zz",
];

fn upload(appliance: &Appliance) {
    let authority = Authority::new(appliance.folder());
    let pair = authority.issue("own", Key::Ec("P-256"));
    let [a, b, c, d] = form(&pair.key, &pair.cert);
    let url = appliance.https("/v1/security/sslcertificate");
    // The new certificate is in use when it is answered.
    assert_eq!(told(appliance, &[&a, &b, &c, &d, &url]), [OURS]);
}

#[test]
fn it_is_sent_once_in_every_https_response_while_an_uploaded_certificate_is_in_use() {
    let service = opinionated();
    let appliance = appliance(&service, 31_536_000);
    let all = |wanted: &[&str], state: &str| {
        for path in PATHS {
            assert_eq!(told(&appliance, &[&appliance.https(path)]), wanted, "{state}: {path}");
            let head = told(&appliance, &["-I", &appliance.https(path)]);
            assert_eq!(head, wanted, "{state}: HEAD {path}");
            let clear = told(&appliance, &[&appliance.http(path)]);
            assert!(clear.is_empty(), "{state}: {path} in clear: {clear:?}");
        }
    };
    let note = "hsts_max_age has no effect while the default certificate is in use";
    all(&[], "default certificate");
    assert!(appliance.program("check", &[]).err.contains(note));
    upload(&appliance);
    all(&[OURS], "uploaded certificate");
    assert!(!appliance.program("check", &[]).err.contains(note));
    // HTTP on a port that speaks HTTPS is answered in clear.
    let clear = told(&appliance, &[&appliance.https("/").replace("https:", "http:")]);
    assert!(clear.is_empty(), "{clear:?}");
    // Redirects to HTTPS are in clear too.
    let ports = appliance.https("/v1/security/insecureports");
    let off = r#"{"enable_insecure_ports": false}"#;
    assert_eq!(
        told(&appliance, &["-H", "Content-Type: application/json", "-d", off, &ports]),
        [OURS]
    );
    assert!(told(&appliance, &[&appliance.http("/")]).is_empty());
    // The response to the reset is the first without it, and connections from before have it no more.
    let mut old = Client::tls(appliance.ports.https);
    let mut ping = || {
        old.send("GET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n");
        old.answer("GET").field("strict-transport-security").is_some()
    };
    assert!(ping());
    let reset = appliance.https("/v1/security/reset");
    assert!(told(&appliance, &["-X", "DELETE", &reset]).is_empty());
    assert!(!ping());
    all(&[], "default certificate again");
}

#[test]
fn a_services_own_passes_while_the_setting_is_off() {
    let service = opinionated();
    let appliance = appliance(&service, 0);
    let url = appliance.https("/own/x");
    assert_eq!(told(&appliance, &[&url]), ["strict-transport-security: max-age=5; preload"]);
    assert!(told(&appliance, &[&appliance.https("/v1/management/ping")]).is_empty());
}
