//! The disk refuses: nothing is sent that is not written down, and the old state stays in force.

use serde_json::json;

use crate::license::usage::Engine as _;
use crate::support::appliance::{Appliance, program};
use crate::support::command::Output;
use crate::support::license::Licensed;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::vendor::Vendor;

/// A daemon whose disk fails at some calls on the files that the license is written to.
fn failing(appliance: &mut Appliance, fault: &str) {
    failing_at(appliance, fault, &["state/.license.json.tmp", "state/license.json"]);
}

fn failing_at(appliance: &mut Appliance, fault: &str, paths: &[&str]) {
    let mut command = traceable("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={fault}"));
    for path in paths {
        command.arg("-P").arg(appliance.folder().join(path));
    }
    command.arg(program()).arg("serve").arg("--config").arg(appliance.config());
    appliance.launch_as(&mut command).unwrap();
}

#[test]
fn a_question_that_can_not_be_written_down_is_not_sent() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    for fault in ["write:error=ENOSPC", "fsync:error=EIO", "rename:error=EROFS"] {
        let mut appliance = Appliance::prepare(&vendor.settings_over(&network));
        failing(&mut appliance, fault);
        let before = network.questions().len();
        let refused = appliance.apply(&code);
        assert_eq!(
            (refused.status, &refused.json()["reason"]),
            (500, &json!("storage")),
            "{fault}"
        );
        assert!(
            refused.json()["error"].as_str().unwrap().contains("could not be saved"),
            "{refused:?}"
        );
        assert_eq!(network.questions().len(), before, "{fault}: sent all the same");
        assert_eq!(appliance.license()["status"], "-113 License status server trial expired");
        appliance.restart();
        assert_eq!(appliance.license()["licensed"], false);
    }
    assert_eq!(vendor.show(&code)["activated"], 0);
}

#[test]
fn an_answer_that_can_not_be_written_down_is_asked_for_again() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&[]));
    let mut appliance = Appliance::prepare(&vendor.settings_over(&network));
    // The first write is the question, the second the answer.
    failing(&mut appliance, "fsync:error=EIO:when=2");
    let refused = appliance.apply(&code);
    assert_eq!(
        (refused.status, &refused.json()["reason"]),
        (500, &json!("storage")),
        "{refused:?}"
    );
    crate::support::wait::until(
        crate::support::wait::SOON,
        "the same question is answered again",
        || (appliance.license()["licensed"] == true).then_some(()),
    );
    let known = vendor.show(&code);
    assert_eq!((&known["activated"], &known["takeovers"]), (&json!(1), &json!(0)), "{known}");
}

#[test]
fn what_is_asked_again_because_only_the_folder_failed_is_counted_once() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::new();
    let (mut reserves, mut settles) = (false, false);
    // Now and then the thread of the license can't make a rename durable, once it has its license.
    for when in ["6+3", "7+4"] {
        let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
        failing_at(&mut appliance, &format!("fsync:error=EIO:when={when}"), &["state"]);
        appliance.apply(&vendor.sell(&[])).ok();
        for session in 0..12 {
            let session = format!("session {session}");
            reserves |= insist(&|| appliance.reserve(&session, 30, 1));
            settles |= insist(&|| appliance.settle(&session, 10.0));
        }
        let allowed = &appliance.license()["transcription_secs_allowed"];
        assert_eq!(allowed, 3_600 - 12 * 10, "{when}");
    }
    assert!(reserves && settles, "no fault met both: {reserves}, {settles}");
}

/// Asks until the disk lets it be; whether it had to ask again.
fn insist(ask: &dyn Fn() -> Output) -> bool {
    let refused = std::iter::repeat_with(ask).take_while(|answer| {
        assert!(matches!(answer.status, 200 | 500), "{answer:?}");
        answer.status == 500
    });
    refused.take(5).count() > 0
}
