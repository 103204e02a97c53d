//! No text of a secret is ever repeated: whatever form it has, and wherever somebody looks.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form};
use crate::support::settings::Settings;

/// Stands for a password, a license code, and whatever else nobody else may read.
const WORD: &str = "hush-hush-4711";

/// Everything that a person or a program can see of the appliance, white space taken out.
fn seen(appliance: &Appliance) -> String {
    let mut seen = appliance.log();
    for word in ["check", "status"] {
        let told = appliance.program(word, &[]);
        seen.push_str(&told.out);
        seen.push_str(&told.err);
    }
    seen.push_str(&appliance.read(&appliance.management("/v1/management/logs/management")).out);
    let socket = appliance.control_socket();
    let (socket, url) = (socket.to_str().unwrap(), "http://x/v1/management/logs/zip");
    appliance.curl(&["--unix-socket", socket, "-o", "report.zip", url]).ok();
    // A certificate has the public part of its key, which looks like a part of the whole.
    seen.push_str(&appliance.shell("unzip -p report.zip -x '*/certificate.pem'").ok().out);
    without_space(&seen)
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace("\\n", "")
}

/// Pieces of a key's text, of which none may be seen.
fn pieces(key: &Path) -> Vec<String> {
    let text = fs::read_to_string(key).unwrap();
    let body: Vec<char> =
        text.lines().filter(|line| !line.starts_with('-')).collect::<String>().chars().collect();
    body.chunks_exact(16).skip(2).map(|piece| piece.iter().collect()).collect()
}

#[track_caller]
fn hidden(seen: &str, pieces: &[String], what: &str) {
    for piece in pieces {
        assert!(!seen.contains(piece.as_str()), "{what}: {piece} in {seen}");
    }
}

/// A PEM text as scripts, mail, editors and secret stores mangle it.
fn mangled(pem: &str) -> Vec<String> {
    let body: Vec<&str> = pem.lines().collect();
    vec![
        pem.replace('\n', " "),
        pem.replace('\n', ""),
        pem.replace('\n', "\\n"),
        pem.replace("KEY-----\n", "KEY----\n"),
        pem.replace("KEY-----\n", "KEY----"),
        pem.replace("KEY-----\n", "KEY "),
        pem.replace("-----END", "----END"),
        pem.replace("-----END", "\u{2014}END"),
        pem.replace("BEGIN PRIVATE", "BEGIN SECRET PRIVATE"),
        pem.replace("PRIVATE KEY", body[1]),
        pem.replace("PRIVATE KEY", &format!("{} CERTIFICATE", body[2])),
        pem.replace("END PRIVATE KEY", &format!("END {}", body[1])),
        pem.replace('\n', "\n> "),
        format!("{}{pem}", body[1]),
        pem[..pem.len() / 2].to_owned(),
        body[1..body.len() - 1].join("\n"),
        pem.replace('/', "!"),
    ]
}

#[test]
fn a_private_key_is_never_repeated_whatever_became_of_its_file() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let one = authority.issue("one", Key::Rsa(2048));
    let secret = pieces(&one.key);
    let key = fs::read_to_string(&one.key).unwrap();
    let certificate = fs::read_to_string(&one.cert).unwrap();
    let url = appliance.https("/v1/security/sslcertificate");
    for (number, text) in mangled(&key).into_iter().enumerate() {
        let file = authority.file("mangled.key", text.as_bytes());
        for [a, b, c, d] in [form(&file, &one.cert), form(&one.key, &file)] {
            let answer = appliance.curl(&[a, b, c, d, url.clone()]);
            hidden(&without_space(&answer.out), &secret, &format!("upload {number}"));
        }
        // The same by hand; the first of each new text is looked at by `check` too.
        fs::write(appliance.state("tls/uploaded.pem"), format!("{certificate}{text}")).unwrap();
        appliance.signal(Signal::HUP);
        appliance.program("check", &[]);
        appliance.read(&appliance.https("/v1/security/sslcertificate")).ok();
        hidden(&seen(&appliance), &secret, &format!("file {number}"));
    }
    appliance.logs(0, "uploaded.pem: ");
}

#[test]
fn a_word_in_a_body_is_never_repeated_whatever_its_place() {
    let appliance = Appliance::start(&Settings::both());
    let bodies = [
        WORD.to_owned(),
        format!("\"{WORD}\""),
        format!("[\"{WORD}\"]"),
        format!("{{\"{WORD}\"}}"),
        format!("{{\"{WORD}\": 1}}"),
        format!("{{\"{WORD}\": 1, \"{WORD}\": 2}}"),
        format!("{{\"password\": {WORD}}}"),
        format!("{{\"password\": \"{WORD}"),
        format!("{{\"password\": [\"{WORD}\"]}}"),
        format!("{{\"password\": {{\"{WORD}\": 1}}}}"),
        format!("{{\"passwort\": \"{WORD}\"}}"),
        format!("{{\"password\": \"{WORD}\\t\"}}"),
        format!("{{\"password\": \"{}\"}}", WORD.repeat(9)),
        format!("{{\"user_token\": {WORD}}}"),
        format!("{{\"user_token\": \"{WORD} {WORD}\"}}"),
        format!("{{\"user_token\": \"{}\"}}", WORD.repeat(99)),
        format!("{{\"user_token\": [\"{WORD}\"]}}"),
        format!("{{\"user_tokem\": \"{WORD}\"}}"),
        format!("{{\"license\": \"{WORD}\", \"{WORD}\": 1}}"),
        format!("{{\"license\": \"{WORD}\\u0007\"}}"),
        format!("{{\"license\": [\"{WORD}\"]}}"),
        format!("{{\"license\": \"1\", \"certificate\": {{\"a\": \"{WORD}\"}}}}"),
        format!("{{\"http_configuration\": {{\"{WORD}\": \"password\"}}}}"),
        format!("{{\"http_configuration\": {{\"ip\": \"u:{WORD}@proxy\", \"port\": 1}}}}"),
        format!("{{\"http_configuration\": {{\"ip\": \"p\", \"port\": \"{WORD}\"}}}}"),
        format!(
            "{{\"http_configuration\": {{\"ip\": \"p\", \"port\": 1, \"password\": \"{WORD}\"}}}}"
        ),
        format!("{{\"http_configuration\": \"http://u:{WORD}@proxy/\"}}"),
        format!("{{\"{WORD}\": {{}}}}"),
    ];
    for generation in ["v1", "v2"] {
        for (method, path) in [
            ("POST", "security/adminpassword"),
            ("POST", "security/insecureports"),
            ("POST", "security/jobtoken"),
            ("POST", "management/license"),
            ("POST", "management/license/network"),
            ("POST", "management/license/offlineactivation"),
            ("PUT", "management/license/offlineactivation"),
            ("POST", "management/license/offlinemode"),
        ] {
            let url = appliance.https(&format!("/{generation}/{path}"));
            for body in &bodies {
                let answer = appliance.curl(&["-u", "admin:admin", "-X", method, "-d", body, &url]);
                assert_ne!(answer.status, 200, "{url} took {body}");
                assert!(!answer.out.contains(WORD), "{url} {body}: {}", answer.out);
            }
        }
    }
    hidden(&seen(&appliance), &[WORD.to_owned()], "after all of it");
}

#[test]
fn a_word_in_a_file_is_never_repeated_whatever_its_place() {
    let mut appliance = Appliance::start(&Settings::v1());
    appliance.stop();
    for contents in [
        WORD.to_owned(),
        format!("admin:{WORD}"),
        format!("{WORD}:$2y$05$x"),
        format!("admin:$2y$05${WORD}"),
        format!("{{\"version\": 1, \"{WORD}\": 1}}"),
        format!("{{\"version\": \"{WORD}\"}}"),
        format!("{{\"version\": 1, \"http_configuration\": {{\"{WORD}\": 1}}}}"),
        format!(
            "{{\"version\": 1, \"http_configuration\": {{\"ip\": \"{WORD}@x\", \"port\": 1}}}}"
        ),
        format!("{{\"version\": 1, \"salt\": \"{WORD}\", \"sha256\": \"{WORD}\"}}"),
        format!(
            "{{\"version\": 1, \"plain_http\": true, \"authentication\": \"on\", \"{WORD}\": 1}}"
        ),
        format!(
            "{{\"version\": 1, \"plain_http\": true, \"authentication\": \"on\", \"discard\": [\"{WORD}\"]}}"
        ),
    ] {
        for file in [
            "admin.htpasswd",
            "job-token.json",
            "license-network.json",
            "security.json",
            "license.json",
        ] {
            fs::write(appliance.state(file), &contents).unwrap();
        }
        appliance.launch();
        hidden(&seen(&appliance), &[WORD.to_owned()], &contents);
        appliance.stop();
    }
    for url in ["http://u:{}@proxy/", "http://{}@proxy/", "https://u:{}@proxy/"] {
        let url = url.replace("{}", WORD);
        let settings = Settings::v1().with("license", json!({ "authority_url": url }));
        settings.write(&appliance.config(), appliance.folder(), &appliance.ports);
        let told = appliance.program("check", &[]);
        assert!(told.code != 0 && told.err.contains("authority_url"), "{told:?}");
        assert!(!told.out.contains(WORD) && !told.err.contains(WORD), "{told:?}");
    }
}
