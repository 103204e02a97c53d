//! What whoever may open the control socket can do: everything, without a password.

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form, text};
use crate::support::command::Output;
use crate::support::settings::Settings;
use crate::support::tls::handshake;

/// Sends the arguments to the control socket.
fn local(appliance: &Appliance, arguments: &[&str]) -> Output {
    let socket = appliance.control_socket();
    let mut all = vec!["--unix-socket", text(&socket)];
    all.extend_from_slice(arguments);
    appliance.curl(&all)
}

/// An appliance whose HTTP is off, whose password is set and forgotten, and whose certificate is not the first.
fn locked_out() -> (Appliance, String) {
    let appliance = Appliance::start(&Settings::both());
    let default_certificate = handshake(appliance.ports.https).unwrap().fingerprint;
    let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
    let [a, b, c, d] = form(&one.key, &one.cert);
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post(&ports, r#"{"enable_insecure_ports": false}"#).ok();
    let password = appliance.https("/v1/security/adminpassword");
    appliance.post(&password, r#"{"password": "forgotten"}"#).ok();
    assert_eq!(appliance.read(&appliance.https("/v1/management/services")).status, 401);
    assert_eq!(appliance.read(&appliance.management("/v1/management/services")).code, 52);
    (appliance, default_certificate)
}

#[track_caller]
fn open_again(appliance: &Appliance, default_certificate: &str) {
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, default_certificate);
    appliance.read(&appliance.https("/v1/management/services")).ok();
    appliance.read(&appliance.management("/v1/management/services")).ok();
}

#[test]
fn the_control_socket_answers_without_a_password_while_the_network_asks_for_one() {
    let (appliance, _) = locked_out();
    let services = local(&appliance, &["http://x/v1/management/services"]).ok();
    assert!(services.json()["service_status"].is_array(), "{services:?}");
    local(&appliance, &["http://x/v2/management/host/about"]).ok();
    let plain = local(&appliance, &["http://x/v1/security/insecureports"]).ok();
    assert_eq!(plain.json()["enable_insecure_ports"], false, "{plain:?}");
}

#[test]
fn a_reset_over_the_control_socket_undoes_all_three_settings() {
    let (appliance, default_certificate) = locked_out();
    let reset = local(&appliance, &["-X", "DELETE", "http://x/v1/security/reset"]).ok();
    assert_eq!(reset.out.trim_end(), r#"{"success": true, "message": "nginx_restart"}"#);
    open_again(&appliance, &default_certificate);
}

#[test]
fn the_reset_command_undoes_all_three_settings_while_the_daemon_runs() {
    let (appliance, default_certificate) = locked_out();
    let reset = appliance.program("reset", &[]);
    assert_eq!(reset.code, 0, "{reset:?}");
    open_again(&appliance, &default_certificate);
}

#[test]
fn the_reset_command_undoes_all_three_settings_while_the_daemon_is_stopped() {
    let (mut appliance, default_certificate) = locked_out();
    appliance.stop();
    let reset = appliance.program("reset", &[]);
    assert_eq!(reset.code, 0, "{reset:?}");
    appliance.launch();
    open_again(&appliance, &default_certificate);
}

#[test]
fn the_control_socket_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let appliance = Appliance::start(&Settings::both());
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&appliance.control_socket()) & 0o077, 0);
    assert_eq!(mode(&appliance.state("")), 0o700);
}

#[test]
fn status_tells_certificate_http_and_password_on_one_screen() {
    let (mut appliance, default_certificate) = locked_out();
    let locked = appliance.program("status", &["--json"]);
    assert_eq!(locked.code, 0, "{locked:?}");
    assert!(locked.json().is_object(), "{locked:?}");
    let screen = appliance.program("status", &[]);
    assert_eq!(screen.code, 0, "{screen:?}");
    assert!(screen.out.lines().count() <= 24, "more than a screen: {screen:?}");
    let lower = screen.out.to_lowercase();
    for word in ["certificate", "http", "password"] {
        assert!(lower.contains(word), "{word}: {screen:?}");
    }

    assert_eq!(appliance.program("reset", &[]).code, 0);
    let open = appliance.program("status", &["--json"]);
    assert_ne!(open.json(), locked.json());
    let told = open.out.to_lowercase().replace(':', "");
    assert!(told.contains(&default_certificate) || told.contains("default"), "{open:?}");

    appliance.stop();
    let down = appliance.program("status", &[]);
    let words = format!("{}{}", down.out, down.err).to_lowercase();
    assert!(words.contains("not running") || words.contains("doesn't run"), "{down:?}");
    assert!(matches!(down.code, 0 | 1), "{down:?}");
}
