//! A session ticket spares the next handshake while the daemon runs, and is worth nothing after a restart:
//! its keys were in memory alone.

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

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
