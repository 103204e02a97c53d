//! The speech commands of M1-7 and M2-5 under the password rules of either generation, and whose
//! credentials reach the service.

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, field};

const PASSWORD: &str = r#"{"password": "example"}"#;
const V1: &str = r#"curl --insecure -L -X GET "https://${APPLIANCE_HOST}/v1.0/user/1/jobs/""#;
const V2: &str = r#"curl --insecure -L -X 'GET' "https://${APPLIANCE_HOST}/v2/jobs/""#;

/// An appliance of these settings in front of a service without jobs.
fn without_jobs(settings: Settings) -> (Stub, Appliance) {
    let stub = Stub::answering("{\"jobs\": []}");
    let appliance = Appliance::start(&settings.speech(stub.address));
    (stub, appliance)
}

/// The plain speech port (M1-3).
fn plain(appliance: &Appliance, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", appliance.ports.speech)
}

#[test]
fn the_command_of_the_v1_page_lists_jobs_until_a_password_is_set_and_with_it_then() {
    let (stub, appliance) = without_jobs(Settings::v1());
    assert_eq!(appliance.page(V1).ok().out, "{\"jobs\": []}");
    assert!(stub.texts()[0].starts_with("GET /v1.0/user/1/jobs/ HTTP/1.1\r\n"));
    assert_eq!(appliance.read(&plain(&appliance, "/v1.0/user/1/jobs/")).ok().out, "{\"jobs\": []}");

    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    stub.forget();
    let refused = appliance.page(V1);
    assert_eq!(refused.status, 401);
    assert!(
        refused.out.contains("<center><h1>401 Authorization Required</h1></center>"),
        "{refused:?}"
    );
    assert_eq!(stub.texts().concat(), "", "nobody was let in");
    let let_in = appliance.page(&V1.replace("curl", "curl --user admin:example")).ok();
    assert_eq!(let_in.out, "{\"jobs\": []}");
    // Plain HTTP never requires the password (M1-25).
    appliance.read(&plain(&appliance, "/v1.0/user/1/jobs/")).ok();
}

#[test]
fn the_command_of_the_v2_page_lists_jobs_with_and_without_a_password_set() {
    for settings in [Settings::v2(), Settings::both()] {
        let (stub, appliance) = without_jobs(settings);
        for _ in 0..2 {
            stub.forget();
            assert_eq!(appliance.page(V2).ok().out, "{\"jobs\": []}");
            let seen = stub.texts().concat();
            assert!(seen.starts_with("GET /v2/jobs/ HTTP/1.1\r\n"), "{seen}");
            appliance.read(&appliance.http("/v2/jobs/")).ok();
            appliance.read(&plain(&appliance, "/v2/jobs/")).ok();
            appliance.read(&plain(&appliance, "/v2/jobs")).ok();
            let set = appliance.https("/v2/security/adminpassword");
            appliance.post_as("admin", &set, PASSWORD);
        }
        let about = appliance.https("/v2/management/host/about");
        assert_eq!(appliance.read_as("example", &about).status, 200, "the password was set");
    }
}

#[test]
fn a_job_clients_own_credentials_reach_the_service() {
    let (stub, appliance) = without_jobs(Settings::both());
    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    for url in
        [appliance.https("/v2/jobs/"), appliance.http("/v2/jobs/"), plain(&appliance, "/v2/jobs/")]
    {
        // Also Basic ones, right or wrong for the appliance: it does not ask here.
        for header in [
            "Authorization: Bearer x",
            "Authorization: Basic YTpi",
            "Authorization: Basic YWRtaW46YWRtaW4=",
        ] {
            stub.forget();
            appliance.curl(&["-H", header, &url]).ok();
            let seen = stub.texts().concat();
            assert_eq!(
                field(&seen, "authorization"),
                header.strip_prefix("Authorization: "),
                "{url}"
            );
        }
    }
}

#[test]
fn the_appliances_own_credentials_never_reach_the_service() {
    for (settings, path) in [
        (Settings::v1(), "/v1.0/user/1/jobs/"),
        (Settings::both(), "/v1/user/1/jobs/"),
        (Settings::v1(), "/v2/jobs/"),
    ] {
        let (stub, appliance) = without_jobs(settings);
        appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
        stub.forget();
        let url = appliance.https(path);
        assert_eq!(appliance.read(&url).status, 401, "{path}");
        assert_eq!(appliance.curl(&["-H", "Authorization: Bearer x", &url]).status, 401, "{path}");
        assert_eq!(stub.texts().concat(), "", "{path}");
        appliance.read_as("example", &url).ok();
        appliance.curl(&["-u", "admin:example", "-H", "Connection: Authorization", &url]).ok();
        appliance.curl(&["-u", "admin:example", "-d", "x", &url]).ok();
        let seen = stub.texts().concat();
        assert_eq!(seen.matches("X-Forwarded-For: 127.0.0.1").count(), 3, "{path}: {seen}");
        assert!(!seen.to_ascii_lowercase().contains("authorization"), "{path}: {seen}");
        assert!(!seen.contains("YWRtaW46ZXhhbXBsZQ"), "{path}: {seen}");
    }
}

#[test]
fn a_job_is_posted_as_a_form_and_its_result_is_read() {
    let stub = Stub::start(|visit| {
        while let Some(head) = visit.head() {
            if field(&head, "expect").is_some() {
                visit.say(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            let body = visit.bytes(length).unwrap();
            let form = String::from_utf8_lossy(&body);
            let whole = form.contains("name=\"data_file\"")
                && form.contains("{\"type\": \"transcription\"}");
            visit.say(if whole {
                &b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"id\": \"a1b\"}"[..]
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords"
            });
        }
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    std::fs::write(appliance.folder().join("audio.wav"), vec![7; 300_000]).unwrap();
    let audio = format!("data_file=@{}", appliance.folder().join("audio.wav").display());
    let config = "config={\"type\": \"transcription\"}";
    for base in [
        appliance.https("/v2/jobs"),
        appliance.http("/v2/jobs"),
        plain(&appliance, "/v1.0/user/1/jobs"),
    ] {
        let posted = appliance.curl(&["-F", &audio, "-F", config, &format!("{base}/")]);
        assert_eq!(
            (posted.status, posted.out.as_str()),
            (201, "{\"id\": \"a1b\"}"),
            "{base}: {posted:?}"
        );
        let read = appliance.read(&format!("{base}/a1b/transcript?format=txt")).ok();
        assert_eq!(read.out, "words", "{base}");
    }
}
