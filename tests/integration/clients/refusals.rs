//! Who is refused by its address, and what the log says about it.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::{Settings, free_port};

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 0, 1);

fn lines(appliance: &Appliance, words: &str) -> usize {
    appliance.log().lines().filter(|line| line.contains(words)).count()
}

/// A listener for 127.1.0.0/16 that takes both families, and one for all with management for 127.1.1.0/24.
fn start() -> (Appliance, [Listener; 2]) {
    let at = [(); 2].map(|()| Listener { name: "", port: free_port(), tls: false });
    let settings = Settings::both().with("management_from", json!(["127.1.1.0/24", "::1"])).with(
        "listen",
        json!([
            {"address": format!("[::]:{}", at[0].port), "serves": "all", "allow": ["127.1.0.0/16"]},
            {"address": format!("127.0.0.1:{}", at[1].port), "serves": "all"},
        ]),
    );
    (Appliance::start(&settings), at)
}

fn ask(from: Ipv4Addr, at: Listener, path: &str) -> Option<u16> {
    let mut client = Client::at_from(from, at);
    let _ = client.try_send(format!("GET {path} HTTP/1.1\r\nHost: box\r\n\r\n").as_bytes());
    client.try_answer("GET").ok().map(|answer| answer.status)
}

#[test]
fn who_comes_from_elsewhere_gets_no_byte_and_one_line_in_the_log() {
    let (appliance, [listener, _]) = start();
    let path = "/v1/management/host/about";
    // An IPv4 client of a socket for both families.
    assert_eq!(ask(Ipv4Addr::new(127, 1, 1, 1), listener, path), Some(200));
    for _ in 0..200 {
        let mut client = Client::at_from(STRANGER, listener);
        let ended = client.until_end();
        assert!(ended.is_err() || ended.is_ok_and(|bytes| bytes.is_empty()));
    }
    appliance.logs(0, "security 127.9.0.1: refused on port");
    assert_eq!(lines(&appliance, "127.9.0.1"), 1, "{}", appliance.log());
    // Another one has a line of its own.
    assert_eq!(ask(Ipv4Addr::new(127, 9, 0, 2), listener, path), None);
    appliance.logs(0, "security 127.9.0.2: refused on port");
    assert!(appliance.log().contains("it is not in \"allow\""));
}

#[test]
fn management_from_closes_the_paths_of_the_administrator_and_no_others() {
    let (appliance, [_, listener]) = start();
    let manager = Ipv4Addr::new(127, 1, 1, 1);
    for (path, open, status) in [
        ("/v1/management/host/about", 200, 403),
        ("/v1/security/insecureports", 200, 403),
        ("/docs/", 401, 403),
        ("/", 401, 403),
        ("/monitor/api/3/mem", 200, 403),
        ("/nowhere", 404, 404),
        ("/v2/jobs", 502, 502),
    ] {
        assert_eq!(ask(manager, listener, path), Some(open), "{path}");
        for _ in 0..5 {
            assert_eq!(ask(STRANGER, listener, path), Some(status), "{path}");
        }
    }
    appliance.logs(0, "127.9.0.1: refused on port");
    assert_eq!(lines(&appliance, "security 127.9.0.1: refused on port"), 1);
    assert!(appliance.log().contains("it is not in \"management_from\""));
    // The way back has no address.
    let status = appliance.program("status", &[]);
    assert!(status.code == 0 && status.out.contains("Daemon       running"), "{status:?}");
}
