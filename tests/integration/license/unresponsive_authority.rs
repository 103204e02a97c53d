//! The authority hangs, answers nonsense or loses its answers: nobody waits for it, and nothing is lost.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::license::Licensed;
use crate::support::network::Fault;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

/// What the status may take in all: two seconds for the network, and air for a busy machine.
const STATUS: Duration = Duration::from_secs(8);

/// What takes no network at all may take on a busy machine; far below every budget of the network.
const AT_ONCE: Duration = Duration::from_secs(5);

#[track_caller]
fn within<T>(limit: Duration, what: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = what();
    assert!(begin.elapsed() < limit, "took {:?}", begin.elapsed());
    done
}

#[test]
fn while_the_authority_hangs_status_speech_and_counting_go_on() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network).speech(engine.address));
    appliance.apply(&code).ok();
    network.set(Fault::Hang);
    let known = network.questions().len();
    let mut removal = appliance.curl_in_background(&[
        "-X",
        "DELETE",
        &appliance.management("/v1/management/license"),
    ]);
    until(SOON, "the authority has been asked", || {
        (network.questions().len() > known).then_some(())
    });
    let returning = within(STATUS, || appliance.license());
    assert_eq!(returning["status"], "-6 License status returned license to server");
    for _ in 0..3 {
        within(AT_ONCE, || appliance.license());
        let refused = within(AT_ONCE, || appliance.post(&appliance.https("/v2/jobs"), "{}"));
        assert_eq!(refused.status, 403);
        within(AT_ONCE, || appliance.read(&appliance.https("/v2/jobs")).ok());
        assert_eq!(within(AT_ONCE, || appliance.reserve("a", 10, 1)).status, 402);
    }
    let _ = removal.kill();
    let _ = removal.wait();
}

#[test]
fn a_license_works_on_while_its_authority_is_silent() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let mut appliance = Appliance::start(&vendor.settings_over(&network).speech(engine.address));
    appliance.apply(&code).ok();
    network.set(Fault::Hang);
    appliance.restart();
    let document = within(STATUS, || appliance.license());
    assert_eq!((&document["licensed"], &document["connected"]), (&json!(true), &json!(false)));
    assert!(document["message"].as_str().unwrap().starts_with("last contact "), "{document}");
    within(AT_ONCE, || appliance.post(&appliance.https("/v2/jobs"), "{}").ok());
    within(AT_ONCE, || appliance.uses(10));
}

#[test]
fn an_activation_whose_answer_was_lost_is_finished_by_itself() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    network.set(Fault::LoseAnswers);
    let lost = appliance.apply(&code);
    assert_eq!(
        lost.json()["error"],
        "Input exception: Not activated - Cannot activate when offline"
    );
    assert!(
        lost.json()["hint"].as_str().unwrap().ends_with("it is retried automatically"),
        "{lost:?}"
    );
    assert_eq!(appliance.license()["licensed"], false);
    network.set(Fault::None);
    until(SOON, "the appliance is licensed", || {
        (appliance.license()["licensed"] == true).then_some(())
    });
    let known = vendor.show(&code);
    assert_eq!((&known["activated"], &known["takeovers"]), (&json!(1), &json!(0)), "{known}");
    assert_eq!(known["secs_left"], 1_796_400);
}

#[test]
fn a_return_whose_answer_was_lost_is_confirmed_once() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let mut appliance = Appliance::start(&vendor.settings_over(&network));
    appliance.apply(&code).ok();
    appliance.uses(100);
    network.set(Fault::LoseAnswers);
    assert_eq!(appliance.remove().status, 500);
    assert_eq!(appliance.license()["status"], "-6 License status returned license to server");
    network.set(Fault::None);
    let again = appliance.remove();
    // By itself or by this call: the same seconds, once.
    if again.status == 200 {
        assert_eq!(again.out, r#"{"transcription_secs_returned": 3500}"#);
    }
    until(SOON, "the return is confirmed", || {
        (appliance.license()["status"] == "-113 License status server trial expired").then_some(())
    });
    let known = vendor.show(&code);
    assert_eq!(
        (&known["activated"], &known["secs_left"]),
        (&json!(0), &json!(1_799_900)),
        "{known}"
    );
    appliance.restart();
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
}

#[test]
fn whatever_else_answers_is_named_and_activates_nothing() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!DOCTYPE html><html>Please sign in</html>";
    let forged = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    let answers = [
        (page.to_owned(), "not_our_service", "web page"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
            "not_our_service",
            "HTTP 302",
        ),
        (format!("{forged}{}", r#"{"v":1,"ct":"AAAA"}"#), "answer_refused", "changed in transit"),
        (
            format!("{forged}{}", r#"{"v":1,"ok":true,"server_time":4102444800,"kind":"lease"}"#),
            "not_our_service",
            "HTTP 200",
        ),
        (format!("{forged}{}", r#"{"v":1,"error":"go away"}"#), "answer_refused", "go away"),
    ];
    for (answer, reason, words) in answers {
        network.set(Fault::Answer(answer));
        let refused = appliance.apply(&code).json();
        assert_eq!(refused["reason"], reason, "{refused}");
        assert!(refused["hint"].as_str().unwrap().contains(words), "{refused}");
        let document = appliance.license();
        assert_eq!((&document["licensed"], &document["connected"]), (&json!(false), &json!(false)));
    }
    assert_eq!(vendor.show(&code)["activated"], 0);
}

#[test]
fn offline_mode_without_a_route_keeps_what_is_cached_and_says_so() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let mut appliance = vendor.appliance();
    appliance.apply(&code).ok();
    appliance.uses(100);
    vendor.kill();
    let mode = "/v1/management/license/offlinemode";
    let answer = appliance.call("POST", mode, r#"{"offline": true}"#).ok().json();
    assert_eq!((&answer["offline"], &answer["licensed"]), (&json!(true), &json!(true)));
    assert!(answer["message"].as_str().unwrap().contains("3500 seconds are cached"), "{answer}");
    appliance.restart();
    assert_eq!(appliance.license()["transcription_secs_allowed"], 3_500);
}

#[test]
fn nothing_of_the_question_can_be_read_on_the_way() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    let body =
        json!({"license": code, "username": "Amy Liu", "email_address": "a-liu@example.com"});
    let document = appliance.call("POST", "/v1/management/license", &body.to_string()).ok().json();
    let questions = network.questions();
    assert!(!questions.is_empty());
    for question in questions {
        let text = String::from_utf8(question).unwrap();
        for secret in
            [code.as_str(), "Amy Liu", "a-liu@", document["computer_id"].as_str().unwrap()]
        {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn an_answer_to_another_question_is_refused_however_genuine() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    appliance.apply(&code).ok();
    let yesterday = recorded(&vendor, network.questions().last().unwrap());
    let before = appliance.license()["transcription_secs_allowed"].clone();
    network.set(Fault::Answer(yesterday));
    let answer = appliance.apply(&code).ok().json();
    assert!(
        answer["error_message"].as_str().unwrap().contains("belongs to another request"),
        "{answer}"
    );
    assert_eq!(answer["transcription_secs_allowed"], before);
}

/// What the authority answers to a question that is played again.
fn recorded(vendor: &Vendor, question: &[u8]) -> String {
    use std::io::Write as _;
    let mut service = std::net::TcpStream::connect(("127.0.0.1", vendor.port())).unwrap();
    service.write_all(question).unwrap();
    String::from_utf8(crate::support::network::read_message(&mut service).unwrap()).unwrap()
}
