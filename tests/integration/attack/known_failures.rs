//! What other servers of this trade have been caught with, where no other test holds it.

use std::os::unix::fs::symlink;

use crate::support::appliance::Appliance;
use crate::support::client::{Answer, Client};
use crate::support::prerequisites::root;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

const PASSWORD: &str = r#"{"password": "correct horse"}"#;

#[test]
fn a_client_that_sends_nothing_but_empty_lines_is_turned_away_at_the_second() {
    let appliance = Appliance::start(&Settings::both());
    for mut client in [
        Client::plain(appliance.ports.http),
        Client::plain(appliance.ports.management),
        Client::tls(appliance.ports.https),
    ] {
        client.send("\r\nGET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer("GET").status, 200);
        client.send("\r\n");
        client.send("\r\n");
        assert_eq!(client.answer("GET").status, 400);
        client.until_end().unwrap();
    }
}

#[test]
fn a_client_cannot_make_the_appliance_negotiate_again_and_again() {
    let appliance = Appliance::start(&Settings::v2());
    let port = appliance.ports.https;
    // A line with a capital R makes openssl ask for another handshake.
    let line = format!("printf 'R\\n' | openssl s_client -tls1_2 -connect 127.0.0.1:{port}");
    let tried = appliance.shell(&line);
    assert!(tried.err.contains("RENEGOTIATING"), "{tried:?}");
    assert!(tried.code != 0 && tried.err.contains("no renegotiation"), "{tried:?}");
}

#[test]
fn bodies_that_the_management_api_does_not_read_leave_nothing_behind() {
    // Others may not see which files the daemon has open.
    if !root() {
        return;
    }
    let appliance = Appliance::start(&Settings::both());
    let head = "POST /v1/management/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    let held = || {
        let count = |what: &str| {
            let folder = format!("/proc/{}/{what}", appliance.pid().as_raw_nonzero());
            std::fs::read_dir(folder).unwrap().count()
        };
        (count("task"), count("fd"))
    };
    let all = || -> Vec<Answer> { (0..40).flat_map(|_| ask(&appliance, head)).collect() };
    all(); // whatever is kept for the next requests
    let (threads, descriptors) = held();
    let answers = all();
    assert!(answers.iter().all(|answer| answer.status == 405), "{answers:?}");
    until(SOON, "threads and descriptors are given back", || {
        let now = held();
        (now.0 <= threads + 10 && now.1 <= descriptors + 20).then_some(())
    });
}

#[test]
#[ignore = "slow: takes 20 s"]
fn a_port_that_is_closed_says_nothing_whatever_it_hears() {
    let appliance = Appliance::start(&Settings::v1());
    let url = appliance.https("/v1/security/insecureports");
    appliance.post(&url, r#"{"enable_insecure_ports": false}"#).ok();
    let said = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "?\r\n\r\n", "GET / HTTP/1.1\r\n", "\r\n"];
    let mut clients = said.map(|_| Client::plain(appliance.ports.management));
    clients.iter_mut().zip(said).for_each(|(client, said)| client.send(said));
    for (client, said) in clients.iter_mut().zip(said) {
        let heard = client.until_end().unwrap();
        assert!(heard.is_empty(), "{said:?}: {}", String::from_utf8_lossy(&heard));
    }
}

/// Trailers, more than anybody reads, half of a chunk, and nothing of what was announced.
fn ask(appliance: &Appliance, head: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for body in ["0\r\nX: y\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\r\nZ: 1;2\r\n\r\n"] {
        for mut client in
            [Client::plain(appliance.ports.management), Client::tls(appliance.ports.https)]
        {
            client.send(format!("{head}\r\n{body}"));
            answers.push(client.answer("POST"));
        }
    }
    let mut endless = Client::plain(appliance.ports.management);
    endless.send(format!("{head}\r\n"));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..40 {
        let _ = endless.try_send(chunk.as_bytes()); // until it is told that this is enough
    }
    answers.push(endless.answer("POST"));
    for begun in ["", "ff\r\nhalf"] {
        let mut client = Client::plain(appliance.ports.management);
        client.send(format!("{head}Expect: 100-continue\r\n\r\n{begun}"));
        client.finish();
        let _ = client.until_end(); // or it is reset
    }
    answers
}

#[test]
fn a_compressed_body_is_never_unpacked() {
    let appliance = Appliance::start(&Settings::both());
    let url = appliance.https("/v1/security/adminpassword");
    let line = format!(
        "printf '%s' '{PASSWORD}' | gzip | curl --insecure -H 'Content-Encoding: gzip' --data-binary @- {url}"
    );
    let refused = appliance.shell(&line);
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(appliance.read(&appliance.https("/v1/management/ping")).status, 200);
}

#[test]
fn a_link_laid_into_the_state_folder_leads_nowhere() {
    let mut appliance = Appliance::start(&Settings::v1());
    let victim = appliance.folder().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    // Where a new password file and settings file are written before they are renamed.
    for name in [".admin.htpasswd.tmp", ".security.json.tmp", "admin.htpasswd.tmp"] {
        symlink(&victim, appliance.state(name)).unwrap();
    }
    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post_as("correct horse", &ports, r#"{"enable_insecure_ports": false}"#).ok();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert!(appliance.state("admin.htpasswd").symlink_metadata().unwrap().is_file());

    // A password file that is a link could be anybody's: nobody gets in.
    appliance.stop();
    let elsewhere = appliance.folder().join("elsewhere");
    std::fs::rename(appliance.state("admin.htpasswd"), &elsewhere).unwrap();
    symlink(&elsewhere, appliance.state("admin.htpasswd")).unwrap();
    appliance.launch();
    let ping = appliance.https("/v1/management/ping");
    assert_eq!(appliance.read(&ping).status, 401);
    assert_eq!(appliance.read_as("correct horse", &ping).status, 401);
}
