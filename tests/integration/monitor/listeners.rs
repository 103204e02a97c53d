//! The ways in: plain HTTP, HTTPS, the monitoring port and the control socket.

use crate::support::appliance::Appliance;
use crate::support::command::Output;

/// One way to the API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Plain,
    Https,
    ControlSocket,
}

pub(crate) const ALL: [Way; 3] = [Way::Plain, Way::Https, Way::ControlSocket];

/// curl with these arguments to `path`, by this way, as the administrator of an appliance whose
/// password is the one it came with.
pub(crate) fn ask(appliance: &Appliance, way: Way, arguments: &[&str], path: &str) -> Output {
    let socket = appliance.control_socket();
    let (url, by) = match way {
        Way::Plain => (appliance.http(path), vec!["-u", "admin:admin"]),
        Way::Https => (appliance.https(path), vec!["-u", "admin:admin"]),
        Way::ControlSocket => {
            (format!("http://x{path}"), vec!["--unix-socket", socket.to_str().unwrap()])
        }
    };
    appliance.curl(&[&by, arguments, &[url.as_str()]].concat())
}
