//! A session ticket spares the next handshake while the daemon runs with the same certificate, and is worth
//! nothing after a change of certificate or a restart: its keys were in memory alone.

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form};
use crate::support::settings::Settings;
use crate::support::tls;

/// A request on a connection of its own; `session` is where openssl keeps the ticket, read or written. True
/// if the handshake was spared.
#[track_caller]
fn spared(appliance: &Appliance, version: &str, session: &str) -> bool {
    let port = appliance.ports.https;
    let answer = appliance.shell(&format!(
        "printf 'GET /v1/management/ping HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | \
         openssl s_client -connect 127.0.0.1:{port} {version} -ign_eof {session}"
    ));
    assert!(answer.out.contains("HTTP/1.1 200 OK"), "{version} {session}: {answer:?}");
    let word = |word: &str| answer.out.lines().any(|line| line.starts_with(word));
    assert!(word("New, TLSv1.") != word("Reused, TLSv1."), "{version} {session}: {answer:?}");
    word("Reused, TLSv1.")
}

#[test]
fn a_session_ticket_is_worth_nothing_after_a_restart() {
    let mut appliance = Appliance::start(&Settings::both());
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(!spared(&appliance, version, "-sess_out ticket"), "{version}");
        assert!(spared(&appliance, version, "-sess_in ticket"), "{version}");
        appliance.restart();
        assert!(!spared(&appliance, version, "-sess_in ticket"), "{version}");
    }
}

#[test]
fn a_session_ticket_is_worth_nothing_after_a_change_of_certificate() {
    let appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    for version in ["-tls1_2", "-tls1_3"] {
        let good = authority.issue("good", Key::Ec("P-256"));
        let url = appliance.https("/v1/security/sslcertificate");
        assert!(!spared(&appliance, version, "-sess_out ticket"), "{version}");
        let [a, b, c, d] = form(&good.key, &good.cert);
        appliance.curl(&[a, b, c, d, url]).ok();
        assert!(!spared(&appliance, version, "-sess_in ticket"), "{version}: upload");
        assert!(!spared(&appliance, version, "-sess_out ticket"), "{version}");
        assert!(spared(&appliance, version, "-sess_in ticket"), "{version}: same certificate");
        let reset = appliance.https("/v1/security/reset");
        appliance.curl(&["-X".to_owned(), "DELETE".to_owned(), reset]).ok();
        assert!(!spared(&appliance, version, "-sess_in ticket"), "{version}: reset");
    }
}

#[test]
fn a_handshake_during_a_change_of_certificate_gets_no_ticket_for_the_time_after_it() {
    let appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let good = authority.issue("good", Key::Ec("P-256"));
        let [a, b, c, d] = form(&good.key, &good.cert);
        let url = appliance.https("/v1/security/sslcertificate");
        let upload = || {
            appliance.curl(&[a, b, c, d, url]).ok();
        };
        assert!(!tls::is_resumed_after(appliance.ports.https, version, upload), "{version:?}");
        assert!(tls::is_resumed_after(appliance.ports.https, version, || ()), "{version:?}");
    }
}
