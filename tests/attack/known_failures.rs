//! What other servers of this trade have been caught with, where no other test holds it.

use std::os::unix::fs::symlink;

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;

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
