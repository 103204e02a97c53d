//! `/metrics`, as a monitoring system reads it: what happens changes its own series and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::json;

use crate::monitor::listeners::{ALL, ask};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::wait::{SOON, within};

/// Samples by name and labels.
type Samples = BTreeMap<String, f64>;

const NEW: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const OLD: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One connection that is kept, so that reading changes nothing but the series of monitoring.
struct Scraper(Client);

impl Scraper {
    fn samples(&mut self) -> Samples {
        self.0.send("GET /monitor/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = self.0.answer("GET");
        assert_eq!((answer.status, answer.field("content-type")), (200, Some(NEW)), "{answer:?}");
        read(&answer.text())
    }

    /// What has changed since `before`, as in `requests_total{area="page",code="2xx"} +1`.
    fn changes(&mut self, before: &Samples) -> BTreeSet<String> {
        let now = self.samples();
        let told = now.iter().filter(|(name, _)| {
            let is_ours = name.contains("area=\"monitoring\"");
            !is_ours && !name.contains("_bucket{") && !name.contains("_sum")
        });
        told.filter_map(|(name, value)| {
            let change = value - before.get(name).copied().unwrap_or_default();
            let name = name.strip_prefix("applianced_").unwrap();
            (change != 0.0).then(|| format!("{name} {change:+}"))
        })
        .collect()
    }
}

fn read(page: &str) -> Samples {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// `/x/moved` is elsewhere, `/x/gone` gets no answer, and all else is found.
fn service() -> Stub {
    Stub::start(|visit| {
        while let Some((head, _)) = visit.request() {
            match () {
                () if head.contains("/x/gone") => return,
                () if head.contains("/x/moved") => {
                    visit.say(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
                }
                () => visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfound"),
            };
        }
    })
}

/// Speech, a service `x`, and a port where live transcription would be.
fn start(service: &Stub) -> Appliance {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let address = service.address.to_string();
    let own = json!({"address": address, "paths": ["/x/"], "auth": "none"});
    let settings = Settings::both().speech(service.address).realtime(nobody).service("x", own);
    Appliance::start(&settings)
}

#[test]
fn each_event_changes_exactly_its_series() {
    let service = service();
    let appliance = start(&service);
    let mut scraper = Scraper(Client::tls(appliance.ports.https));
    let tls = appliance.ports.https;
    let plain = |text: &str| {
        let mut client = Client::plain(appliance.ports.http);
        client.send(text);
        client.answer("GET");
    };
    let get = |path: &str| plain(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let curl = |arguments: &[&str]| drop(appliance.curl(arguments));
    let (about, v2) = ("/v1/management/host/about", "/v2/management/host/about");
    let request = |area: &str, class: &str| {
        format!(
            "requests_total{{area=\"{area}\",code=\"{class}\"}} +1; \
             request_duration_seconds_count{{area=\"{area}\"}} +1"
        )
    };
    let mut check = |what: &str, does: &dyn Fn(), wanted: &str| {
        let before = scraper.samples();
        does();
        let all = format!("connections_accepted_total +1; {wanted}");
        let wanted: BTreeSet<String> = all.split("; ").map(str::to_owned).collect();
        let mut found = BTreeSet::new();
        // A request is counted when it has ended, of which its client need not know.
        within(SOON, || {
            found = scraper.changes(&before);
            // How long our own texts are is told elsewhere.
            let is_ours =
                |change: &str| change.starts_with("sent_bytes") && !change.ends_with(" +5");
            found.retain(|change| !is_ours(change));
            (found == wanted).then_some(())
        });
        assert_eq!(found, wanted, "{what}");
    };

    let first_byte =
        |name: &str| format!("service_first_byte_seconds_count{{service=\"{name}\"}} +1");
    check("management", &|| get(about), &request("management", "2xx"));
    check("management, nothing there", &|| get("/v1/management/x"), &request("management", "4xx"));
    check("management, no password", &|| get(v2), &request("management", "4xx"));
    check(
        "the page",
        &|| curl(&["-u", "admin:admin", &appliance.http("/")]),
        &request("page", "2xx"),
    );
    check("health", &|| get("/healthz"), &request("health", "2xx"));
    check("no path", &|| get("/nothing"), &request("unknown", "4xx"));
    check("malformed", &|| get("/ /"), &request("unknown", "4xx"));
    check("malformed target", &|| get("/../x"), &request("unknown", "4xx"));
    let found = format!(
        "{}; {}; sent_bytes_total{{area=\"speech\"}} +5",
        request("speech", "2xx"),
        first_byte("speech")
    );
    check("speech", &|| get("/v2/jobs"), &found);
    let uploaded = format!("{found}; received_bytes_total{{area=\"speech\"}} +3");
    let head = "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
    check("an upload", &|| plain(head), &uploaded);
    let moved = format!("{}; {}", request("custom", "3xx"), first_byte("x"));
    check("a service's redirect", &|| get("/x/moved"), &moved);
    check("a service that hangs up", &|| get("/x/gone"), &request("custom", "5xx"));
    let upgrade = "GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    check("live transcription that is down", &|| plain(upgrade), &request("realtime", "5xx"));

    let wrong = format!(
        "{}; login_failures_total{{reason=\"wrong_password\"}} +1",
        request("management", "4xx")
    );
    check("a wrong password", &|| curl(&["-u", "admin:x", &appliance.http(v2)]), &wrong);
    for version in ["1.2", "1.3"] {
        let shook = format!(
            "{}; tls_handshakes_total{{version=\"{version}\"}} +1",
            request("management", "2xx")
        );
        let url = appliance.https(about);
        check(version, &|| curl(&["--tls-max", version, &url]), &shook);
    }
    let failed = |reason: &str| format!("tls_handshake_failures_total{{reason=\"{reason}\"}} +1");
    let openssl = |arguments: &[&str]| drop(appliance.s_client(arguments));
    check("plain HTTP", &|| curl(&[&format!("http://127.0.0.1:{tls}/")]), &failed("plain_http"));
    check("ALPN", &|| openssl(&["-alpn", "h2"]), &failed("incompatible"));
    let url = appliance.https("/");
    check("no trust", &|| curl(&["--no-insecure", "--tls-max", "1.2", &url]), &failed("alert"));
    let send = |bytes: &[u8]| {
        TcpStream::connect((Ipv4Addr::LOCALHOST, tls)).unwrap().write_all(bytes).unwrap();
    };
    check("garbage", &|| send(b"\0\0\0\0garbage"), &failed("malformed"));
    check("half a record", &|| send(b"\x16\x03\x01"), &failed("disconnected"));
    check("a knock", &|| send(b""), "connections_accepted_total +1");

    let set = appliance.https("/v1/security/insecureports");
    let off = r#"{"enable_insecure_ports": false}"#;
    let switched = format!(
        "{}; tls_handshakes_total{{version=\"1.3\"}} +1; \
         received_bytes_total{{area=\"management\"}} +{}",
        request("management", "2xx"),
        off.len()
    );
    check("a change", &|| drop(appliance.post(&set, off).ok()), &switched);
    let refused = "connections_refused_total{reason=\"http_disabled\"} +1; \
                   requests_total{area=\"management\",code=\"none\"} +1; \
                   request_duration_seconds_count{area=\"management\"} +1";
    check("plain HTTP is off", &|| curl(&[&appliance.management(about)]), refused);
}

#[test]
fn guesses_without_end_and_open_connections_are_told() {
    let appliance = Appliance::start(&Settings::both());
    let mut scraper = Scraper(Client::tls(appliance.ports.https));
    let before = scraper.samples();
    assert_eq!(before["applianced_connections"], 1.0);
    let open: Vec<Client> = (0..5).map(|_| Client::plain(appliance.ports.http)).collect();
    let mut counts = |name: &str, wanted: f64| {
        let found = within(SOON, || (scraper.samples()[name] == wanted).then_some(()));
        assert!(found.is_some(), "{name} is not {wanted}: {}", scraper.samples()[name]);
    };
    counts("applianced_connections", 6.0);
    drop(open);
    counts("applianced_connections", 1.0);
    for guess in 0..15 {
        let url = appliance.https("/v2/management/host/about");
        let password = format!("admin:{guess}");
        appliance.curl(&["--interface", "127.0.0.9", "-u", &password, &url]);
    }
    counts("applianced_login_failures_total{reason=\"wrong_password\"}", 11.0);
    counts("applianced_login_failures_total{reason=\"rate_limited\"}", 4.0);
}

#[test]
fn services_certificate_and_license_are_measured() {
    let service = service();
    let appliance = start(&service);
    let samples = Scraper(Client::tls(appliance.ports.https)).samples();
    let value = |name: &str| samples.get(&format!("applianced_{name}")).copied();
    assert_eq!(value("service_up{service=\"speech\"}"), Some(1.0));
    assert_eq!(value("service_up{service=\"x\"}"), Some(1.0));
    assert_eq!(value("service_up{service=\"realtime\"}"), Some(0.0));
    let version = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(value(&version), Some(1.0));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let years = (value("certificate_end_timestamp_seconds").unwrap() - now) / 86_400.0 / 365.0;
    assert!((9.0..11.0).contains(&years), "{years}");
    assert_eq!((value("license_valid"), value("license_status")), (Some(1.0), Some(3.0)));
    let status = appliance.read(&appliance.https("/v1/management/license")).json();
    let left = status["transcription_secs_allowed"].as_f64();
    assert_eq!(value("license_remaining_seconds"), left);
    let end = value("license_end_timestamp_seconds").unwrap();
    let lease_end = value("license_lease_end_timestamp_seconds").unwrap();
    assert!(now < lease_end && lease_end <= end + 86_400.0 * 60.0, "{now} {lease_end} {end}");
}

#[test]
fn without_a_license_there_is_no_end_of_one() {
    let appliance = Appliance::start(&Settings::both());
    let page = appliance.read(&appliance.https("/monitor/metrics")).out;
    let samples = read(&page);
    assert_eq!(samples["applianced_license_valid"], 0.0);
    assert_eq!(samples["applianced_license_status"], -113.0);
    assert_eq!(samples["applianced_license_remaining_seconds"], 0.0);
    assert!(!page.contains("\napplianced_license_end_timestamp_seconds "), "{page}");
    assert!(!page.contains("\napplianced_license_lease_end_timestamp_seconds "), "{page}");
}

#[test]
fn every_way_to_monitoring_leads_to_it_in_the_format_that_is_asked_for() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        let told = ask(&appliance, way, &["-i"], "/monitor/metrics").out;
        assert!(told.contains(NEW) && told.ends_with("\n# EOF\n"), "{way:?}: {told}");
    }
    let url = format!("http://127.0.0.1:{}/metrics", appliance.ports.v1_monitoring);
    for (accept, wanted) in [
        ("", NEW),
        ("*/*", NEW),
        ("text/html, */*;q=0.8", NEW),
        ("text/plain", OLD),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", OLD),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", NEW),
    ] {
        let told = appliance.curl(&["-i", "-H", &format!("Accept: {accept}"), &url]).out;
        assert!(
            told.to_ascii_lowercase().contains(&format!("content-type: {wanted}\r\n")),
            "{told}"
        );
        assert_eq!(told.ends_with("# EOF\n"), wanted == NEW, "{accept}: {told}");
    }
    let head = appliance.curl(&["-I", &url]).out;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains(NEW), "{head}");
    let posted = appliance.curl(&["-i", "-d", "x", &url]).out;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    assert!(posted.contains("\r\nAllow: GET, HEAD\r\n"), "{posted}");
    let elsewhere = appliance.curl(&["-i", &appliance.http("/metrics")]).out;
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
}

#[test]
fn a_thousand_scrapes_leave_the_memory_as_it_was() {
    let appliance = Appliance::start(&Settings::both());
    let mut scraper = Scraper(Client::plain(appliance.ports.http));
    (0..200).for_each(|_| drop(scraper.samples()));
    let before = appliance.memory("VmRSS");
    (0..1_000).for_each(|_| drop(scraper.samples()));
    let after = appliance.memory("VmRSS");
    assert!(after <= before + 256, "{before} KiB before, {after} KiB after");
}
