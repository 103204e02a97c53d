//! The security settings as a stranger and the administrator find them from outside.

use crate::support::appliance::Appliance;
use crate::support::certificates::text;
use crate::support::tls::handshake;

/// Passwords the tests set; [`Standing::password`] is found by trying them.
pub(crate) const PASSWORDS: [&str; 2] = ["first password", "second password"];

/// What is in force, seen over the network of an appliance that has v1 mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Of the certificate shown; the handshake proves that its key is the one in use.
    pub(crate) fingerprint: String,
    pub(crate) plain_http: bool,
    /// None if nobody is asked; otherwise the passwords that let the administrator in, which must be one.
    pub(crate) password: Option<Vec<&'static str>>,
    /// Whether a certificate request is pending.
    pub(crate) requested: bool,
    /// `set`, `unset` or `locked`.
    pub(crate) job_token: String,
}

pub(crate) fn observe(appliance: &Appliance) -> Standing {
    let fingerprint = handshake(appliance.ports.https).unwrap().fingerprint;
    let plain = appliance.read(&appliance.management("/v1/management/ping"));
    let plain_http = match (plain.code, plain.status) {
        (52, _) => false,
        (0, 200 | 401) => true,
        _ => panic!("plain HTTP is neither on nor off: {plain:?}"),
    };
    let url = appliance.https("/v1/management/ping");
    let stranger = appliance.read(&url);
    let password = match stranger.status {
        200 => None,
        401 => Some(
            PASSWORDS.into_iter().filter(|p| appliance.read_as(p, &url).status == 200).collect(),
        ),
        _ => panic!("neither let in nor asked for a password: {stranger:?}"),
    };
    let socket = appliance.control_socket();
    let local = |resource: &str| {
        let url = format!("http://localhost/v1/security/{resource}");
        appliance.curl(&["--unix-socket", text(&socket), &url]).ok().json()
    };
    let requested = local("certificaterequest")["pending"].as_bool().unwrap();
    let job_token = local("jobtoken")["job_token"].as_str().unwrap().to_owned();
    Standing { fingerprint, plain_http, password, requested, job_token }
}
