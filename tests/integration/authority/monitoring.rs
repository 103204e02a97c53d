//! `/`, `/healthz` and `/metrics`, as curl, load balancers and monitoring read them.

use std::fs;
use std::process::Command;

use applianced::protocol::message::Op;

use crate::authority::fixture::serving;
use crate::authority::machine::Machine;
use crate::support::command::run;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

fn curl(vendor: &Vendor, words: &[&str], path: &str) -> String {
    let url = format!("http://{}{path}", vendor.address());
    run(Command::new("curl").args(["-sS", "--max-time", "30"]).args(words).arg(url)).out
}

#[test]
fn each_page_has_three_methods_and_refuses_others() {
    let vendor = Vendor::new();
    for path in ["/", "/healthz", "/metrics"] {
        let got = curl(&vendor, &["-i"], path);
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        let asked_head = curl(&vendor, &["-I"], path);
        assert!(asked_head.starts_with("HTTP/1.1 200 OK\r\n") && !body.is_empty());
        if path != "/metrics" {
            assert_eq!(asked_head.trim_end(), head, "the same head");
        }
        let options = curl(&vendor, &["-i", "-X", "OPTIONS"], path);
        assert!(options.starts_with("HTTP/1.1 204 No Content\r\n"), "{options}");
        assert!(options.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{options}");
        assert!(!options.to_ascii_lowercase().contains("content-length"), "RFC 9110 section 8.6");
        let post = curl(&vendor, &["-i", "-d", "x"], path);
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET, "), "{post}");
    }
    assert_eq!(curl(&vendor, &[], "/healthz"), "ok\n");
}

#[test]
fn what_keeps_it_from_answering_is_told_to_load_balancers_and_its_cause_to_the_log() {
    let vendor = Vendor::new();
    let keys = vendor.dir().join("records/keys/keys.json");
    let good = fs::read(&keys).unwrap();
    fs::write(&keys, "damage").unwrap();
    let told = until(SOON, "a fault is told", || {
        let told = curl(&vendor, &["-i"], "/healthz");
        told.starts_with("HTTP/1.1 503 ").then_some(told)
    });
    assert!(told.ends_with("\r\n\r\nthe keys cannot be read\n"), "{told}");
    vendor.logged("the keys cannot be read: the record keys/keys is damaged");
    fs::write(&keys, good).unwrap();
    // Whatever stands in the way of a write, also for root.
    let probe = vendor.dir().join("serve.check");
    let _ = fs::remove_file(&probe);
    fs::create_dir(&probe).unwrap();
    until(SOON, "the store is told", || {
        (curl(&vendor, &[], "/healthz") == "the store cannot be written\n").then_some(())
    });
    fs::remove_dir(&probe).unwrap();
    until(SOON, "all is well again", || (curl(&vendor, &[], "/healthz") == "ok\n").then_some(()));
}

#[test]
fn questions_are_counted_by_kind_and_outcome_and_no_page_names_a_license() {
    let (vendor, code, mut machine) = serving(&[]);
    let address = vendor.address();
    machine.ask(address, Op::Activate);
    machine.ask(address, Op::Sync);
    machine.ask(address, Op::Sync);
    Machine::new("494900000000000000", vendor.trust()).ask(address, Op::Activate);
    let page = curl(&vendor, &[], "/metrics");
    for line in [
        "license_authority_questions_total{kind=\"activate\",outcome=\"lease\"} 1",
        "license_authority_questions_total{kind=\"activate\",outcome=\"unknown_license\"} 1",
        "license_authority_questions_total{kind=\"sync\",outcome=\"lease\"} 2",
        "license_authority_question_duration_seconds_count 4",
        "license_authority_question_duration_seconds_bucket{le=\"+Inf\"} 4",
        "license_authority_wrong_codes_total 1",
        "license_authority_connections 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    let left = page
        .lines()
        .find_map(|l| l.strip_prefix("license_authority_issuer_key_remaining_seconds "));
    let days = left.unwrap().parse::<i64>().unwrap() / 86_400;
    assert!((1_000..1_200).contains(&days), "{days}");
    assert!(page.ends_with("# EOF\n") && !page.contains(&code[..8]) && !page.contains("127.0.0.1"));
}
