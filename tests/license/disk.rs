//! The disk refuses: nothing is sent that is not written down, and the old state stays in force.

use serde_json::json;

use crate::support::appliance::{Appliance, program};
use crate::support::command::strace;
use crate::vendor::{Licensed, Vendor};

/// A daemon whose disk fails at some calls on the files that the license is written to.
fn failing(appliance: &mut Appliance, fault: &str) {
    let state = appliance.folder().join("state");
    let mut command = strace();
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={fault}"));
    for file in [".license.json.tmp", "license.json"] {
        command.arg("-P").arg(state.join(file));
    }
    command.arg(program()).arg("serve").arg("--config").arg(appliance.config());
    appliance.launch_as(&mut command).unwrap();
}

#[test]
fn a_question_that_can_not_be_written_down_is_not_sent() {
    let vendor = Vendor::new();
    let (wire, code) = (vendor.wire(), vendor.sell(&[]));
    for fault in ["write:error=ENOSPC", "fsync:error=EIO", "rename:error=EROFS"] {
        let mut appliance = Appliance::prepare(&vendor.settings_of(&wire));
        failing(&mut appliance, fault);
        let before = wire.questions().len();
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
        assert_eq!(wire.questions().len(), before, "{fault}: sent all the same");
        assert_eq!(appliance.license()["status"], "-113 License status server trial expired");
        appliance.restart();
        assert_eq!(appliance.license()["licensed"], false);
    }
    assert_eq!(vendor.show(&code)["activated"], 0);
}

#[test]
fn an_answer_that_can_not_be_written_down_is_asked_for_again() {
    let vendor = Vendor::new();
    let (wire, code) = (vendor.wire(), vendor.sell(&[]));
    let mut appliance = Appliance::prepare(&vendor.settings_of(&wire));
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
