//! Through a proxy: whole URLs and never CONNECT, credentials that stay secret, words that mean a hop.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::network::read_message;
use crate::support::settings::Settings;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const NETWORK: &str = "/v1/management/license/network";

/// A proxy as Squid and tinyproxy are by default: no CONNECT to port 80. It alone knows the authority.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(authority: u16, credentials: Option<&'static str>) -> Proxy {
        Proxy::offering(authority, credentials, "Basic realm=\"proxy\"")
    }

    /// One that names these ways to prove who one is.
    fn offering(
        authority: u16,
        credentials: Option<&'static str>,
        challenge: &'static str,
    ) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let Some(question) = read_message(&mut client) else { continue };
                let text = String::from_utf8_lossy(&question).into_owned();
                let head = text.split("\r\n\r\n").next().unwrap().to_owned();
                let allowed = credentials
                    .is_none_or(|wanted| head.to_lowercase().contains(&wanted.to_lowercase()));
                let answer = if !head.starts_with("POST http://license.invalid/v1/license ") {
                    refusal("403 Forbidden")
                } else if !allowed {
                    refusal(&format!(
                        "407 Proxy Authentication Required\r\nProxy-Authenticate: {challenge}"
                    ))
                } else {
                    let mut service = TcpStream::connect((Ipv4Addr::LOCALHOST, authority)).unwrap();
                    let path = text.replacen("http://license.invalid", "", 1);
                    service.write_all(path.as_bytes()).unwrap();
                    read_message(&mut service).unwrap_or_default()
                };
                seen.lock().unwrap().push(head);
                let _ = client.write_all(&answer);
            }
        });
        Proxy { port, heads }
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    fn settings(&self, user: Option<(&str, &str)>) -> String {
        let mut settings = json!({"ip": "127.0.0.1", "port": self.port.to_string()});
        if let Some((user, password)) = user {
            settings["user"] = json!(user);
            settings["password"] = json!(password);
        }
        json!({ "http_configuration": settings }).to_string()
    }
}

fn refusal(status: &str) -> Vec<u8> {
    let page = "<!DOCTYPE html><html>the proxy says no</html>";
    let length = page.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"
    )
    .into()
}

/// An appliance that can't resolve the name of its authority.
fn appliance(vendor: &Vendor) -> Appliance {
    let license = vendor.license_settings("http://license.invalid/");
    Appliance::start(&Settings::both().with("license", license))
}

#[test]
fn a_license_is_applied_and_given_back_through_a_proxy_that_alone_knows_the_service() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let proxy = Proxy::start(vendor.port(), None);
    let mut appliance = appliance(&vendor);
    assert_eq!(appliance.apply(&code).json()["reason"], "resolve");
    appliance.call("POST", NETWORK, &proxy.settings(None)).ok();
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    appliance.restart();
    // It asks by itself after a start.
    until(SOON, "the proxy, which survived the restart, is used", || {
        (appliance.license()["connected"] == true).then_some(())
    });
    appliance.remove().ok();
    let heads = proxy.heads.lock().unwrap();
    assert!(heads.len() >= 3 && !heads.iter().any(|head| head.starts_with("CONNECT")), "{heads:?}");
}

#[test]
fn credentials_reach_the_proxy_and_nobody_else() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let proxy = Proxy::start(vendor.port(), Some("Basic YSB1c2VyOnBAc3M6dyVyZA=="));
    let mut appliance = appliance(&vendor);
    appliance.call("POST", NETWORK, &proxy.settings(Some(("a user", "wrongword")))).ok();
    let refused = appliance.apply(&code);
    assert_eq!(refused.json()["reason"], "proxy_authentication");
    assert!(refused.json()["hint"].as_str().unwrap().contains("407"), "{refused:?}");
    let shown =
        appliance.call("POST", NETWORK, &proxy.settings(Some(("a user", "p@ss:w%rd")))).ok();
    assert_eq!(shown.json()["http_configuration"]["password"], "********");
    appliance.apply(&code).ok();

    let file = appliance.state("license-network.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let told = [
        refused.out,
        shown.out,
        appliance.read(&appliance.management(NETWORK)).out,
        appliance.log(),
    ]
    .concat();
    for secret in ["wrongword", "p@ss:w%rd", "YSB1c2VyOnBAc3M6dyVyZA", code.as_str()] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    // What GET shows can be sent back without losing the password.
    let page: Value = appliance.read(&appliance.management(NETWORK)).json();
    appliance.call("POST", NETWORK, &page.to_string()).ok();
    appliance.restart();
    assert_eq!(appliance.license()["connected"], true);
}

/// Five wrong ones lock many an account, for every use it has.
#[test]
fn a_refused_password_is_sent_again_when_a_person_acts_and_not_before() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let proxy = Proxy::start(vendor.port(), Some("Basic YSB1c2VyOnBAc3M6dyVyZA=="));
    let mut appliance = appliance(&vendor);
    let wrong = proxy.settings(Some(("a user", "wrongword")));
    appliance.call("POST", NETWORK, &wrong).ok();
    let refused = appliance.apply(&code);
    assert_eq!(refused.json()["reason"], "proxy_authentication", "{refused:?}");
    let hint = refused.json()["hint"].clone();
    assert!(hint.as_str().unwrap().contains("not sent again"), "{hint}");
    assert!(!hint.as_str().unwrap().contains("retried automatically"), "{hint}");
    assert_eq!(proxy.asked(), 1);
    let looks = |appliance: &Appliance| {
        for _ in 0..3 {
            let document = appliance.license();
            assert_eq!(document["connected"], false);
            assert_eq!(document["error_message"], hint);
        }
        appliance.program("status", &[]).ok();
    };
    looks(&appliance);
    assert_eq!(proxy.asked(), 1, "looking is no reason to try again");
    appliance.restart();
    looks(&appliance);
    assert_eq!(proxy.asked(), 1, "nor is a restart");
    for asked in 2..4 {
        appliance.apply(&code);
        looks(&appliance);
        assert_eq!(proxy.asked(), asked, "a person may, once each time");
    }
    appliance.call("POST", NETWORK, &wrong).ok();
    until(SOON, "the same once more, since it was set", || (proxy.asked() == 4).then_some(()));
    until(SOON, "it is refused", || (appliance.license()["error_message"] == hint).then_some(()));
    // The waiting activation goes on by itself as soon as the password is right.
    let right = proxy.settings(Some(("a user", "p@ss:w%rd")));
    appliance.call("POST", NETWORK, &right).ok();
    until(SOON, "the appliance is licensed", || {
        (appliance.license()["licensed"] == true).then_some(())
    });
}

#[test]
fn a_proxy_that_takes_no_basic_is_named_as_one_with_what_to_do() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    for (challenge, shown) in [
        ("Negotiate\r\nProxy-Authenticate: NTLM", "Negotiate or NTLM"),
        ("Digest realm=\"a, Basic\", nonce=\"x\"", "Digest"),
    ] {
        let proxy = Proxy::offering(vendor.port(), Some("never"), challenge);
        let appliance = appliance(&vendor);
        appliance.call("POST", NETWORK, &proxy.settings(Some(("amy", "right")))).ok();
        let refused = appliance.apply(&code).json();
        assert_eq!(refused["reason"], "proxy_authentication");
        let hint = refused["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("accepts only {shown} authentication (407)")), "{hint}");
        assert!(hint.contains("cntlm") && hint.contains("license.invalid"), "{hint}");
        let document = appliance.license();
        assert_eq!((proxy.asked(), &document["error_message"]), (1, &json!(hint)));
    }
}

#[test]
fn a_way_that_leads_nowhere_is_not_tried_at_each_look() {
    let vendor = Vendor::new();
    let proxy = Proxy::start(vendor.port(), Some("never"));
    let appliance = appliance(&vendor);
    appliance.call("POST", NETWORK, &proxy.settings(None)).ok();
    for _ in 0..3 {
        assert_eq!(appliance.license()["connected"], false);
    }
    assert_eq!(proxy.asked(), 1);
    let heads = proxy.heads.lock().unwrap();
    assert!(heads[0].to_lowercase().contains("\r\naccept-encoding: identity"), "{heads:?}");
}

#[test]
fn what_copying_adds_to_an_address_is_dropped() {
    let appliance = Vendor::new().appliance();
    let body = r#"{"http_configuration": {"ip": " 192.0.2.1 ", "port": "3128\r\n"}}"#;
    let set = appliance.call("POST", NETWORK, body).ok().json();
    assert_eq!(set, json!({"http_configuration": {"ip": "192.0.2.1", "port": 3128}}));
    let whole = r#"{"http_configuration": {"ip": "http://192.0.2.1:3128/", "port": "3128"}}"#;
    let refused = appliance.call("POST", NETWORK, whole);
    let told = refused.json();
    assert_eq!((refused.status, &told["reason"]), (400, &json!("bad_request")));
    assert!(told["error"].as_str().unwrap().contains("is a URL: give the host alone"), "{told}");
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
    let mut command = appliance.command("serve");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    appliance.launch_as(&mut command).unwrap();
    appliance.apply(&code).ok();
}

#[test]
fn settings_that_make_no_sense_are_refused_and_change_nothing() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let good = r#"{"http_configuration": {"ip": "192.0.2.1", "port": 3128}}"#;
    let kept = appliance.call("POST", NETWORK, good).ok().json();
    for body in [
        "",
        "{",
        "[]",
        r#"{"http_configuration": 1}"#,
        r#"{"http": {}}"#,
        r#"{"http_configuration": {"ip": "a"}}"#,
        r#"{"http_configuration": {"ip": "a", "port": 0}}"#,
        r#"{"http_configuration": {"ip": "a", "port": 70000}}"#,
        r#"{"http_configuration": {"ip": "a", "port": "x"}}"#,
        r#"{"http_configuration": {"ip": "a b", "port": 1}}"#,
        r#"{"http_configuration": {"ip": "a", "port": 1, "password": "x"}}"#,
        r#"{"http_configuration": {"ip": "a", "port": 1, "port": 2}}"#,
        r#"{"relay_configuration": {"ip": "a", "port": 1}}"#,
    ] {
        let refused = appliance.call("POST", NETWORK, body);
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(3)), "{body}");
        assert!(refused.json()["hint"].as_str().unwrap().contains("http_configuration"), "{body}");
    }
    assert_eq!(appliance.read(&appliance.management(NETWORK)).json(), kept);
    for empty in [r#"{"http_configuration": {"ip": "", "port": ""}}"#, "{}"] {
        appliance.call("POST", NETWORK, good).ok();
        assert_eq!(
            appliance.call("POST", NETWORK, empty).ok().json(),
            json!({"http_configuration": {}})
        );
    }
}
