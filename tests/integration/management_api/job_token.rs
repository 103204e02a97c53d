//! The job token as its administrator and the clients of speech find it.

use serde_json::json;

use crate::speech::websocket::{echo, upgrade};
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::command::Output;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, ok};

const TOKEN: &str = "hush-hush-token-4711";

/// What the manual's page on security sends.
const BODY: &str = r#"{"user_token": "hush-hush-token-4711"}"#;

/// An appliance in front of one service for jobs and streams.
fn fixture(settings: Settings) -> (Stub, Appliance) {
    let stub = Stub::start(|visit| {
        while let Some((head, _)) = visit.request() {
            if head.contains("Upgrade: websocket") {
                visit.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
                return echo(visit);
            }
            visit.say(ok("{}").as_bytes());
        }
    });
    let settings = settings.speech(stub.address).realtime(stub.address);
    let appliance = Appliance::start(&settings);
    stub.forget();
    (stub, appliance)
}

fn set(appliance: &Appliance) -> Output {
    appliance.post_as("admin", &appliance.https("/v2/security/jobtoken"), BODY)
}

fn bearer(appliance: &Appliance, token: &str, url: &str) -> Output {
    appliance.curl(&["-H", &format!("Authorization: Bearer {token}"), url])
}

fn told(appliance: &Appliance) -> String {
    let url = appliance.https("/v2/security/jobtoken");
    appliance.read_as("admin", &url).ok().json()["job_token"].as_str().unwrap().to_owned()
}

#[test]
fn speech_is_open_until_a_token_is_set_and_again_once_it_is_removed() {
    let (stub, mut appliance) = fixture(Settings::both());
    let jobs = appliance.https("/v2/jobs");
    let speech = [&jobs, &appliance.http("/v2/jobs/7"), &appliance.http("/v1.0/user/1/jobs/")];
    let remove = |appliance: &Appliance| {
        let url = appliance.https("/v1/security/jobtoken");
        appliance.curl(&["-X", "DELETE", &url]).ok().message()
    };
    assert_eq!(told(&appliance), "unset");
    assert!(remove(&appliance).starts_with("no job token was set"));
    speech.iter().for_each(|url| _ = appliance.read(url).ok());

    let answer = set(&appliance).ok().json();
    assert_eq!(answer["success"], true, "{answer}");
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("plain HTTP access is still enabled"), "{answer}");
    assert_eq!(told(&appliance), "set");
    stub.forget();
    for restarted in [false, true] {
        for url in &speech {
            let refused = appliance.curl(&["-i", url]);
            assert_eq!(refused.status, 401, "{refused:?}");
            assert!(refused.out.contains("WWW-Authenticate: Bearer realm=\"appliance\"\r\n"));
            assert!(refused.out.contains(r#""code": 401, "error": "Permission Denied""#));
            assert_eq!(bearer(&appliance, "guess", url).status, 401);
        }
        assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
        speech.iter().for_each(|url| _ = bearer(&appliance, TOKEN, url).ok());
        let reached = std::mem::take(&mut stub.texts()).concat();
        assert!(
            reached.contains("GET /v2/jobs/7 ") && !reached.contains("Authorization"),
            "{reached}"
        );
        stub.forget();
        if !restarted {
            appliance.restart();
        }
    }
    // Management asks for the password alone.
    let about = appliance.https("/v2/management/host/about");
    assert_eq!(bearer(&appliance, TOKEN, &about).status, 401);
    appliance.read(&appliance.https("/v1/management/services")).ok();

    assert!(remove(&appliance).contains("speech is open to whoever reaches it"));
    speech.iter().for_each(|url| _ = appliance.read(url).ok());
    // Without one what clients send is theirs, as before.
    stub.forget();
    bearer(&appliance, "a-token", &format!("{jobs}?jwt=b-token")).ok();
    let reached = stub.texts().concat();
    assert!(reached.contains("?jwt=b-token ") && reached.contains("Bearer a-token"), "{reached}");

    set(&appliance).ok();
    appliance.curl(&["-X", "DELETE", &appliance.https("/v1/security/reset")]).ok();
    assert_eq!(told(&appliance), "unset");
    appliance.read(&jobs).ok();
}

#[test]
fn a_stream_opens_with_the_token_in_its_field_or_query_and_goes_on_when_the_token_changes() {
    let (stub, appliance) = fixture(Settings::both());
    set(&appliance).ok();
    let open = |path: &str, field: &str| {
        let mut client = Client::tls(appliance.ports.v2_realtime);
        let text = upgrade(path).replace("WebSocket", "websocket");
        client.send(text.replace("Host: localhost\r\n", &format!("Host: localhost\r\n{field}")));
        client
    };
    let field = format!("Authorization: Bearer {TOKEN}\r\n");
    let query = format!("/v2/en?jwt={TOKEN}&sm-sdk=js");
    for path in ["/v2/en", "/", "/v2/en?jwt=guess", "/v2?jwt=", "/v2/en?token=guess"] {
        let answer = open(path, "").answer("GET");
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
    let mut streams = [open("/v2/en", &field), open(&query, "")];
    for stream in &mut streams {
        let head = stream.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }
    let reached = stub.texts().concat();
    assert!(reached.contains("GET /v2/en?sm-sdk=js HTTP/1.1\r\n"), "{reached}");
    assert!(!reached.contains(TOKEN) && !reached.contains("Authorization"), "{reached}");

    let other = r#"{"user_token": "another-token-of-some-length"}"#;
    appliance.post(&appliance.https("/v1/security/jobtoken"), other).ok();
    assert_eq!(open("/v2/en", &field).answer("GET").status, 401);
    for stream in &mut streams {
        stream.send("still here");
        assert_eq!(stream.bytes(10).unwrap(), b"still here");
    }
}

#[test]
fn a_token_that_no_client_could_send_is_refused_with_the_reason_and_changes_nothing() {
    let (_stub, appliance) = fixture(Settings::both());
    set(&appliance).ok();
    let url = appliance.https("/v1/security/jobtoken");
    let body = |token: &str| json!({"user_token": token}).to_string();
    for (body, why) in [
        (String::new(), "no body"),
        ("[]".to_owned(), "not an object"),
        ("{}".to_owned(), r#"has no "user_token""#),
        (r#"{"user_token": 7}"#.to_owned(), "not a string"),
        (r#"{"user_token": "a", "user_token": "b"}"#.to_owned(), "duplicate key"),
        (r#"{"user_tokens": "abc"}"#.to_owned(), r#"did you mean "user_token"?"#),
        (body(""), "remove it with DELETE jobtoken"),
        (body("two words"), "can't carry"),
        (body("$AUTH_TOKEN"), "single quotes"),
        (body(&"x".repeat(1025)), "1024 are taken"),
    ] {
        let refused = appliance.post(&url, &body);
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert!(refused.message().contains(why), "{body}: {refused:?}");
    }
    bearer(&appliance, TOKEN, &appliance.https("/v2/jobs")).ok();
    let longest = "x".repeat(1024);
    appliance.post(&url, &body(&longest)).ok();
    bearer(&appliance, &longest, &appliance.https("/v2/jobs")).ok();
    let short = appliance.post(&url, &body("a")).ok().json();
    assert!(short["warnings"][0].as_str().unwrap().contains("openssl rand -hex 32"), "{short}");
}

#[test]
fn wrong_tokens_count_as_guesses_with_wrong_passwords_and_other_addresses_go_on() {
    let (_stub, appliance) = fixture(Settings::v2());
    set(&appliance).ok();
    let (jobs, about) = (appliance.https("/v2/jobs"), appliance.https("/v2/management/host/about"));
    // A forgotten client with the token of last year, and one without any.
    for _ in 0..30 {
        assert_eq!(bearer(&appliance, "old", &jobs).status, 401);
        assert_eq!(appliance.read(&jobs).status, 401);
    }
    for number in 0..5 {
        assert_eq!(bearer(&appliance, &format!("guess-{number}"), &jobs).status, 401);
        assert_eq!(appliance.read_as(&format!("guess {number}"), &about).status, 401);
    }
    let waits = bearer(&appliance, TOKEN, &jobs);
    assert_eq!(waits.status, 429, "{waits:?}");
    assert_eq!(waits.json()["code"], 429, "{waits:?}");
    assert_eq!(appliance.read_as("admin", &about).status, 429);
    let field = format!("Authorization: Bearer {TOKEN}");
    appliance.curl(&["--interface", "127.0.0.2", "-H", &field, &jobs]).ok();
}

#[test]
fn a_damaged_token_file_lets_nobody_in_and_is_told() {
    let (stub, appliance) = fixture(Settings::both());
    set(&appliance).ok();
    let kept = std::fs::read_to_string(appliance.state("job-token.json")).unwrap();
    assert!(!kept.contains(TOKEN) && kept.contains("sha256"), "{kept}");
    std::fs::write(appliance.state("job-token.json"), &kept[..40]).unwrap();
    appliance.logs(0, "no job token is accepted until one is set");
    assert_eq!(told(&appliance), "locked");
    stub.forget();
    assert_eq!(bearer(&appliance, TOKEN, &appliance.https("/v2/jobs")).status, 401);
    assert_eq!(stub.texts().concat(), "");
    let status = appliance.program("status", &[]).out;
    assert!(status.contains("Job token    locked: every one is refused"), "{status}");
    set(&appliance).ok();
    bearer(&appliance, TOKEN, &appliance.https("/v2/jobs")).ok();
}

#[test]
fn status_says_that_speech_is_open_and_nothing_ever_shows_the_token() {
    let (_stub, mut appliance) = fixture(Settings::both());
    let open = "no job token is set: speech is open to whoever reaches it";
    assert!(appliance.program("status", &[]).out.contains(open));
    set(&appliance).ok();
    let jobs = appliance.http(&format!("/v2/jobs?jwt={TOKEN}"));
    bearer(&appliance, TOKEN, &jobs).ok();
    assert_eq!(appliance.read(&jobs).status, 401, "a query is for streams alone");
    let mut seen = appliance.log();
    for running in [true, false] {
        let status = appliance.program("status", &[]).out;
        assert!(status.contains("Job token    set\n") && !status.contains(open), "{status}");
        seen.push_str(&status);
        seen.push_str(&appliance.program("status", &["--json"]).out);
        let checked = appliance.program("check", &[]);
        seen.push_str(&(checked.out + &checked.err));
        if running {
            let logs = appliance.http("/v1/management/logs/gate?count=-1");
            seen.push_str(&appliance.read(&logs).out);
            appliance.stop();
        }
    }
    assert!(seen.contains("job token set by a client at 127.0.0.1"), "{seen}");
    assert!(!seen.contains(TOKEN), "{seen}");
    let reset = appliance.program("reset", &[]);
    assert!(reset.out.contains("The job token is removed, so speech is open."), "{reset:?}");
    assert!(appliance.program("status", &[]).out.contains(open));
}
