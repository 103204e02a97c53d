//! The network and the control socket get the same answers.

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;

const PATHS: [&str; 13] = [
    "/v1/management/ping",
    "/v1/management/license/ping",
    "/v1/management/host/about",
    "/v2/management/host/about",
    "/v1/security/sslcertificate",
    "/v2/security/insecureports",
    "/v1/security/adminpassword?x=y",
    "/v2/security/jobtoken",
    "/",
    "/docs",
    "/docs/",
    "/v1/management/nothing",
    "/v2/security/reset",
];

/// Answers in a row that are more than both ends of a connection hold.
const LATE: usize = 400;

#[test]
fn an_answer_is_the_same_over_the_network_and_over_the_control_socket() {
    let appliance = Appliance::start(&Settings::both());
    let socket = appliance.control_socket();
    let without_date = |answer: &str| -> Vec<String> {
        let lines = answer.lines().filter(|line| !line.starts_with("Date: "));
        lines.map(str::to_owned).collect()
    };
    for path in PATHS {
        for how in ["--include", "--head"] {
            let user = ["--user", "admin:admin", how];
            let local = format!("http://localhost{path}");
            let socket = ["--unix-socket", socket.to_str().unwrap(), &local];
            let local = appliance.curl(&[user.as_slice(), socket.as_slice()].concat());
            assert!(local.out.starts_with("HTTP/1.1 "), "{local:?}");
            for url in [appliance.http(path), appliance.https(path)] {
                let far = appliance.curl(&[user.as_slice(), &[url.as_str()]].concat());
                assert_eq!(without_date(&far.out), without_date(&local.out), "{how} {url}");
                assert!(far.out.contains("\nDate: "), "{far:?}");
            }
        }
    }
}

#[test]
fn a_client_that_reads_late_gets_every_answer_and_meanwhile_costs_no_memory() {
    let appliance = Appliance::start(&Settings::v1());
    for mut client in [Client::plain(appliance.ports.http), Client::tls(appliance.ports.https)] {
        client.send(
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(LATE),
        );
        let before = appliance.memory("VmRSS");
        // Others are served while its answers wait.
        assert_eq!(appliance.read(&appliance.http("/v1/management/ping")).status, 200);
        for turn in 0..LATE {
            let (page, docs) = (client.answer("GET"), client.answer("GET"));
            assert_eq!((page.status, docs.status), (200, 200), "{turn}");
            assert!(page.text().contains("data-api") && docs.text().contains("openapi"), "{turn}");
        }
        let sent = LATE as u64 * 60; // KiB, about
        assert!(appliance.memory("VmRSS") < before + sent / 4, "answers are made as they are read");
    }
}
