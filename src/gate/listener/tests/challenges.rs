//! ACME challenges that are published while the gate serves: http-01 (RFC 8555 section 8.3) and tls-alpn-01
//! (RFC 8737), the latter with openssl as the certificate authority.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{gate_of, rules};
use crate::gate::listener::Listeners;
use crate::gate::{Bound, Gate};
use crate::log::Log;
use crate::security::{AlpnChallenge, Challenges, HttpChallenge, JobToken, Password, Rules};
use crate::store::Scratch;

const PATH: &str = "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ";
const KEY_AUTHORIZATION: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ.thumbprint";

/// A gate with its listeners, which are those of `LISTEN`.
struct Served {
    gate: Arc<Gate>,
    addresses: Vec<SocketAddr>,
    log: Arc<Mutex<String>>,
    listeners: Option<Listeners>,
    scratch: Scratch,
}

/// The first two answer challenges over plain HTTP.
const LISTEN: [&str; 7] = [
    r#""serves": "all", "http_disabled": "close""#,
    r#""serves": "all", "http_disabled": "redirect""#,
    r#""serves": "all", "tls": true"#,
    r#""serves": "management""#,
    r#""serves": "monitoring""#,
    r#""serves": "speech""#,
    r#""serves": "realtime""#,
];
const TLS: usize = 2;

impl Served {
    fn start(api: &str) -> Served {
        let listen = LISTEN.map(|listen| format!(r#"{{"address": "127.0.0.1:0", {listen}}}"#));
        let settings = format!(r#"{{"api": [{api}], "listen": [{}]}}"#, listen.join(", "));
        let log = Arc::new(Mutex::new(String::new()));
        let (scratch, sink) = (Scratch::new(), Arc::clone(&log));
        let log_lines = Log::to(move |line| sink.lock().unwrap().push_str(line));
        let gate = Arc::new(gate_of(&settings, &scratch, log_lines));
        let bound = gate.config.listen.iter().map(|listen| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            Bound { listener, listen: listen.clone() }
        });
        let bound: Vec<Bound> = bound.collect();
        let addresses = bound.iter().map(|bound| bound.listener.local_addr().unwrap()).collect();
        let listeners = Some(Listeners::start(Arc::clone(&gate), bound).unwrap());
        Served { gate, addresses, log, listeners, scratch }
    }

    fn publish(&self, alpn: &[&str]) {
        let http = HttpChallenge {
            token: PATH.rsplit('/').next().unwrap().to_owned(),
            key_authorization: KEY_AUTHORIZATION.to_owned(),
        };
        let alpn = alpn.iter().map(|name| AlpnChallenge::new(name, KEY_AUTHORIZATION).unwrap());
        self.gate.challenges.publish(Challenges { http: vec![http], alpn: alpn.collect() });
    }

    fn withdraw(&self) {
        self.gate.challenges.publish(Challenges::default());
    }

    /// The whole response to a request, or to several, without `Date`.
    fn answer(&self, listener: usize, request: &str) -> String {
        let mut client = TcpStream::connect(self.addresses[listener]).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        without_date(&String::from_utf8(answer).unwrap())
    }

    /// What openssl says of a connection over which it sends a request.
    fn s_client(&self, arguments: &str) -> String {
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let port = self.addresses[TLS].port();
        let command = format!("openssl s_client -connect 127.0.0.1:{port} -ign_eof {arguments}");
        let said = without_date(&shell(&self.scratch.0, &command, &request));
        assert!(said.contains("CONNECTED("), "{said}");
        said
    }

    /// Asserts that an ordinary client is served over TLS, with the certificate of the appliance.
    fn serves_others(&self) {
        for arguments in ["", "-alpn http/1.1", "-alpn h2,http/1.1", "-alpn http/1.0,acme-tls/1"] {
            let said = self.s_client(&format!("{arguments} -servername box.example"));
            assert!(said.contains("HTTP/1.1 404 "), "{arguments}: {said}");
            assert!(!said.contains("ALPN protocol: acme"), "{arguments}: {said}");
            assert!(!certificate(&said).contains("1.3.6.1.5.5.7.1.31"), "{arguments}");
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let left =
            self.listeners.take().map(|all| all.drain(Instant::now() + Duration::from_secs(9)));
        if !std::thread::panicking() {
            assert_eq!(left, Some(0), "no request is left");
        }
    }
}

/// What a command prints, whatever its exit code is.
fn shell(folder: &Path, command: &str, input: &str) -> String {
    let mut child = Command::new("sh")
        .args(["-c", &format!("({command}) 2>&1")])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}

/// The certificate that `openssl s_client` printed, as text.
fn certificate(said: &str) -> String {
    let text = shell(Path::new("/"), "openssl x509 -noout -text", said);
    assert!(text.starts_with("Certificate:"), "{text} {said}");
    text
}

fn without_date(answer: &str) -> String {
    answer.split_inclusive('\n').filter(|line| !line.starts_with("Date: ")).collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

/// The rules of every state of the password, with and without plain HTTP.
fn all_rules() -> Vec<Rules> {
    let passwords = [Password::Unset, Password::Off, Password::Locked];
    let mut all: Vec<Rules> = passwords
        .into_iter()
        .map(|password| Rules { plain_http: true, password, job_token: JobToken::Unset })
        .collect();
    all.push(rules("secret", true));
    all.extend(all.clone().into_iter().map(|rules| Rules { plain_http: false, ..rules }));
    all
}

#[test]
fn an_http_01_challenge_is_answered_whatever_api_password_and_plain_http_are() {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n",
        KEY_AUTHORIZATION.len()
    );
    let last = format!("{head}Connection: close\r\n\r\n");
    for api in [r#""v1""#, r#""v2""#, r#""v1", "v2""#] {
        let served = Served::start(api);
        served.publish(&[]);
        for rules in all_rules() {
            let told = format!("{api} {rules:?}");
            served.gate.rules.publish(rules);
            for listener in 0..TLS {
                let answer = served.answer(listener, &get(PATH));
                assert_eq!(answer, format!("{last}{KEY_AUTHORIZATION}"), "{told}");
                let answer = served.answer(listener, &get(PATH).replace("GET", "HEAD"));
                assert_eq!(answer, last, "{told}");
                // The connection goes on.
                let two = get(PATH).replace("Connection: close\r\n", "") + &get(PATH);
                let answers = format!("{head}\r\n{KEY_AUTHORIZATION}{last}{KEY_AUTHORIZATION}");
                assert_eq!(served.answer(listener, &two), answers, "{told}");
            }
        }
    }
}

#[test]
fn everything_else_is_answered_as_while_nothing_is_published() {
    let token = PATH.rsplit('/').next().unwrap();
    let mut requests = String::new();
    for path in [
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge",
        "/.well-known/acme-challenge/other",
        &PATH[..PATH.len() - 1],
        &format!("{PATH}x"),
        &format!("{PATH}/"),
        &format!("{PATH}?"),
        &format!("{PATH}?a=b"),
        &format!("http://x{PATH}"),
        &format!("/{PATH}"),
        &format!("/x/..{PATH}"),
        &format!("/.well-known/acme-challenge/./{token}"),
        &format!("/.well-known/acme-challenge/x/../{token}"),
        &format!("/.well-known/acme-challenge/%2e%2e/acme-challenge/{token}"),
        &format!("/.well-known/acme-challenge%2f{token}"),
        &format!("/.well-known/acme%2dchallenge/{token}"),
        &PATH.replace("evaG", "%65vaG"),
        &PATH.to_lowercase(),
        &PATH.replace("well", "Well"),
        "/",
        "/v1/management/ping",
        "/v2/management/host/about",
        "/nothing",
    ] {
        let _ = write!(requests, "{}\0", get(path));
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "Head"] {
        let _ = write!(requests, "{}\0", get(PATH).replace("GET", method));
    }
    let requests: Vec<&str> = requests.split_terminator('\0').collect();
    let wanted = get(PATH);
    let served = Served::start(r#""v1", "v2""#);
    for rules in all_rules().into_iter().filter(|rules| rules.password != Password::Locked) {
        served.gate.rules.publish(rules);
        for listener in (0..LISTEN.len()).filter(|listener| *listener != TLS) {
            // Listeners that don't serve everything answer no challenge.
            let answered = (listener > TLS).then_some(wanted.as_str());
            for request in requests.iter().copied().chain(answered) {
                served.withdraw();
                let before = served.answer(listener, request);
                served.publish(&["x"]);
                assert_eq!(
                    served.answer(listener, request),
                    before,
                    "{} {request}",
                    LISTEN[listener]
                );
                assert!(!before.contains(KEY_AUTHORIZATION), "{before}");
            }
        }
    }
}

#[test]
fn a_challenge_that_is_withdrawn_is_not_answered_any_more() {
    let served = Served::start(r#""v1", "v2""#);
    let answer = || [0, 1].map(|listener| served.answer(listener, &get(PATH)));
    for plain_http in [true, false] {
        served.gate.rules.publish(Rules {
            plain_http,
            password: Password::Unset,
            job_token: JobToken::Unset,
        });
        let before = answer();
        assert!(before[0].starts_with("HTTP/1.1 404 ") == plain_http, "{before:?}");
        assert!(plain_http || before[0].is_empty(), "{before:?}");
        assert!(before[1].starts_with("HTTP/1.1 301 ") != plain_http, "{before:?}");
        served.publish(&[]);
        assert!(answer().iter().all(|answer| answer.ends_with(KEY_AUTHORIZATION)));
        served.withdraw();
        assert_eq!(answer(), before);
    }
}

#[test]
fn an_acme_client_gets_the_certificate_of_the_challenge_for_its_name_and_no_answer() {
    let served = Served::start(r#""v1", "v2""#);
    served.publish(&["box.example", "192.0.2.7"]);
    for version in ["-tls1_2", "-tls1_3"] {
        for (server_name, name) in [
            ("box.example", "DNS:box.example"),
            ("BOX.example", "DNS:box.example"),
            ("7.2.0.192.in-addr.arpa", "IP Address:192.0.2.7"),
        ] {
            let arguments = format!("{version} -alpn acme-tls/1 -servername {server_name}");
            let said = served.s_client(&arguments);
            assert!(said.contains("\nALPN protocol: acme-tls/1\n"), "{said}");
            // The connection ends in a close_notify, after the handshake and before any answer.
            assert!(said.contains("\nclosed\n") && !said.contains("HTTP/1"), "{said}");
            let text = certificate(&said);
            assert!(text.contains("1.3.6.1.5.5.7.1.31: critical"), "{text}");
            assert!(text.contains(&format!("{name}\n")) && text.contains("prime256v1"), "{text}");
        }
    }
    served.serves_others();
}

#[test]
fn an_acme_client_that_asks_for_no_published_challenge_is_refused() {
    let served = Served::start(r#""v1", "v2""#);
    // Alerts 120 and 49: no_application_protocol (RFC 7301 section 3.2) and access_denied (RFC 8446 section
    // 6.2).
    let refused = |alert: u8, arguments: &str| {
        let said = served.s_client(arguments);
        assert!(said.contains(&format!("SSL alert number {alert}\n")), "{arguments}: {said}");
        assert!(!said.contains("BEGIN CERT") && !said.contains("HTTP/1"), "{arguments}: {said}");
    };
    let asks = "-alpn acme-tls/1 -servername box.example";
    refused(120, asks);
    served.publish(&["box.example"]);
    for other in [
        "-alpn acme-tls/1 -servername other.example",
        "-alpn acme-tls/1 -servername x.box.example",
        "-alpn acme-tls/1 -noservername",
        "-alpn h2,acme-tls/1 -servername box.example",
    ] {
        refused(49, other);
    }
    refused(120, "-alpn h2 -servername box.example");
    served.publish(&[]);
    refused(120, asks);
    served.withdraw();
    refused(120, asks);
    // The line follows the alert.
    let reason = "the client asks (by ALPN) to validate an ACME challenge, and none is published";
    let end = Instant::now() + Duration::from_secs(20);
    while !served.log.lock().unwrap().contains(reason) {
        assert!(Instant::now() < end, "{}", served.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn other_clients_notice_nothing_of_a_challenge_for_acme_clients() {
    let served = Served::start(r#""v1", "v2""#);
    served.serves_others();
    let before = |version: &str| served.s_client(&format!("{version} -sess_out ticket"));
    let spared = |version: &str| {
        let said = served.s_client(&format!("{version} -sess_in ticket"));
        assert!(said.contains("HTTP/1.1 404 "), "{said}");
        said.contains("\nReused, TLS")
    };
    for version in ["-tls1_2", "-tls1_3"] {
        before(version);
        assert!(spared(version), "{version}: with the ticket of an earlier connection");
        served.publish(&["box.example"]);
        assert!(spared(version), "{version}: the ticket keys are the same while it is published");
        before(version);
        served.withdraw();
        assert!(spared(version), "{version}: and afterwards");
    }
    served.publish(&["box.example"]);
    served.serves_others();
    // Over TLS there is no http-01.
    let said = served.s_client("-alpn http/1.1");
    assert!(said.contains("HTTP/1.1 404 ") && !said.contains(KEY_AUTHORIZATION), "{said}");
}

#[test]
fn a_connection_outlives_the_challenges_that_come_and_go() {
    let served = Served::start(r#""v1", "v2""#);
    let port = served.addresses[TLS].port();
    for published in [false, true] {
        if published {
            served.publish(&["box.example"]);
        }
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
        let mut first = [0; 12];
        input.write_all(get("/one").replace("Connection: close\r\n", "").as_bytes()).unwrap();
        output.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 404");
        if published {
            served.withdraw();
        } else {
            served.publish(&["box.example"]);
        }
        input.write_all(get("/two").as_bytes()).unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("HTTP/1.1 404") && rest.contains("Connection: close"), "{rest}");
        drop(input);
        client.wait().unwrap();
    }
}
