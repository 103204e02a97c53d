//! The status of the appliance as one JSON object, of a running daemon or of its files.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::services;
use crate::config::Config;
use crate::license;
use crate::security::{AcmeRecord, inspect};
use crate::util::utc;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The status that the daemon reports of itself; `member` gets a resource of its API.
pub(crate) fn of_daemon<E>(
    config: &Config,
    member: impl Fn(&str) -> Result<Value, E>,
) -> Result<Value, E> {
    let state = State {
        running: true,
        certificate: member("security/sslcertificate")?,
        acme: member("security/acme")?,
        plain_http: member("security/insecureports")?["enable_insecure_ports"].clone(),
        password: word(&member("security/adminpassword")?["admin_password"]),
        job_token: word(&member("security/jobtoken")?["job_token"]),
        license: member("management/license")?,
        faults: Vec::new(),
    };
    Ok(to_json(config, state, utc::unix_seconds(SystemTime::now())))
}

/// The status while no daemon runs, from the files that the next start reads.
pub(crate) fn of_files(config: &Config) -> Value {
    let now = SystemTime::now();
    let seconds = utc::unix_seconds(now);
    let security = inspect(&config.state_dir, config.api, now);
    let license = license::inspect(config);
    let acme = security.acme.as_deref();
    let certificate = security.summary.as_ref().map(|summary| summary.to_json(acme, seconds));
    let state = State {
        running: false,
        certificate: certificate.unwrap_or_default(),
        acme: AcmeRecord::to_public_json(acme),
        plain_http: security.plain_http.map_or(Value::Null, Value::Bool),
        password: security.password.to_owned(),
        job_token: security.job_token.to_owned(),
        license: license.document,
        faults: [security.faults, license.faults].concat(),
    };
    to_json(config, state, seconds)
}

/// The part of the status that is read from the daemon or from the files.
#[derive(Default)]
struct State {
    running: bool,
    /// The answer to `GET sslcertificate`, or null.
    certificate: Value,
    /// The answer to `GET acme`.
    acme: Value,
    /// A boolean, or null where it can't be read.
    plain_http: Value,
    password: String,
    /// `set`, `unset` or `locked`.
    job_token: String,
    /// The status document.
    license: Value,
    faults: Vec<String>,
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").to_owned()
}

fn to_json(config: &Config, mut state: State, now: i64) -> Value {
    let not_after = state.certificate["not_after"].as_str().and_then(utc::parse);
    let days_left = not_after.map(|end| (end - now).div_euclid(DAY));
    if let (Some(certificate), Some(days_left)) = (state.certificate.as_object_mut(), days_left) {
        certificate.insert("days_left".to_owned(), json!(days_left));
    }
    let starts = state.certificate["not_before"].as_str().and_then(utc::parse);
    let settings = config.to_json();
    json!({
        "daemon": if state.running { "running" } else { "not running" },
        "insecure": insecure(config, &state, days_left, starts.is_some_and(|start| now < start)),
        "certificate": state.certificate,
        "acme": state.acme,
        "plain_http": state.plain_http,
        "admin_password": state.password,
        "job_token": state.job_token,
        "license": state.license,
        "services": services::states(config, state.running, |_| true),
        "listeners": settings["listen"],
        "faults": state.faults,
    })
}

/// What is insecure about the appliance.
fn insecure(
    config: &Config,
    state: &State,
    days_left: Option<i64>,
    too_early: bool,
) -> Vec<&'static str> {
    let mut insecure = Vec::new();
    if state.plain_http == Value::Bool(true) {
        insecure.push("plain HTTP is on");
    }
    match state.password.as_str() {
        "unset" => insecure.push(match (config.api.v1, config.api.v2) {
            (_, false) => "no admin password is set",
            (false, true) => "no admin password is set: admin:admin is accepted",
            (true, true) => "no admin password is set: v1 requires none, v2 accepts admin:admin",
        }),
        "off" => insecure.push("authentication is off: no password is required"),
        _ => {}
    }
    if speech_is_open(config, state) {
        insecure.push("no job token is set: speech is open to whoever reaches it");
    }
    if days_left.is_some_and(|days| days < 0) {
        insecure.push("the certificate has expired");
    }
    if too_early {
        insecure.push("the certificate is not valid yet: run `applianced check` for the remedy");
    }
    insecure
}

/// With v1 alone the admin password protects speech too, over HTTPS.
fn speech_is_open(config: &Config, state: &State) -> bool {
    let by_password =
        !config.api.v2 && state.password == "set" && state.plain_http == Value::Bool(false);
    state.job_token == "unset" && !by_password
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{State, to_json};
    use crate::config::Config;
    use crate::diagnosis::screen::text;

    fn config() -> Config {
        Config::parse(
            br#"{"api": ["v1"],
                 "listen": [{"address": "[::]:80", "serves": "all", "http_disabled": "redirect"},
                            {"address": "[::]:443", "serves": "all", "tls": true}],
                 "services": {"speech": {"address": "unix:/nowhere/a"}, "realtime": {"address": "unix:/nowhere/b"}}}"#,
        )
        .unwrap()
    }

    fn certificate() -> Value {
        json!({"source": "default", "subject": "CN=vm", "not_after": "1970-01-11T00:00:00Z", "sha256": "AB:CD"})
    }

    #[test]
    fn the_screen_says_what_is_insecure() {
        let state = State {
            running: true,
            certificate: certificate(),
            acme: json!({"enabled": false}),
            plain_http: true.into(),
            password: "unset".to_owned(),
            job_token: "unset".to_owned(),
            license: json!({
                "licensed": true, "status": "3 License status concurrent license", "message": "",
                "subscription_expiry": "2027-10-16T12:26:37Z", "connected": false,
                "transcription_secs_allowed": 3600, "transcription_secs_allocated": 1_800_000,
                "license_code": "494953679762904933", "error_message": "",
            }),
            faults: Vec::new(),
        };
        let status = to_json(&config(), state, 86_400);
        assert_eq!(status["certificate"]["days_left"], 9);
        let open = "no job token is set: speech is open to whoever reaches it";
        assert_eq!(
            status["insecure"],
            json!(["plain HTTP is on", "no admin password is set", open])
        );
        assert_eq!(
            text(&status),
            "\
Daemon       running
Certificate  default: CN=vm
             valid until 1970-01-11T00:00:00Z, 9 days left
             SHA-256 AB:CD
Plain HTTP   on
Password     unset
Job token    unset
License      licensed: 3 License status concurrent license
             code 494953679762904933, 3600 of 1800000 seconds cached
             expires 2027-10-16T12:26:37Z, not connected
Services     gate running
             management running
             monitoring running
             realtime exited
             speech exited
Listeners    [::]:80 all, plain; redirects while plain HTTP is off
             [::]:443 all, TLS
Insecure     plain HTTP is on
             no admin password is set
             no job token is set: speech is open to whoever reaches it
"
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_unknown() {
        let faults = vec!["admin.htpasswd is damaged".to_owned()];
        let (password, job_token) = ("locked".to_owned(), "locked".to_owned());
        let state = State { password, job_token, faults, ..State::default() };
        let status = to_json(&config(), state, 0);
        assert_eq!(status["insecure"], json!([]));
        let text = text(&status);
        for line in [
            "Daemon       not running\n",
            "Certificate  none that can be read\n",
            "Plain HTTP   unknown\n",
            "Password     locked: every network login is refused until it is reset\n",
            "Job token    locked: every one is refused until it is set again or removed\n",
            "Services     gate exited\n",
            "Faults       admin.htpasswd is damaged\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_valid_yet_is_insecure() {
        let mut certificate = certificate();
        certificate["not_before"] = "1970-01-03T00:00:00Z".into();
        let state = State { certificate, password: "set".to_owned(), ..State::default() };
        let status = to_json(&config(), state, 86_400);
        let told = status["insecure"][0].as_str().unwrap();
        assert!(told.starts_with("the certificate is not valid yet"), "{told}");
    }

    #[test]
    fn an_expired_certificate_is_insecure() {
        let state =
            State { certificate: certificate(), password: "set".to_owned(), ..State::default() };
        let status = to_json(&config(), state, 86_400 * 12 + 1);
        assert_eq!(status["insecure"], json!(["the certificate has expired"]));
        assert!(text(&status).contains("expired 1970-01-11T00:00:00Z\n"));
    }
}
