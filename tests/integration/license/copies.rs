//! One state folder on two machines: the first mover keeps the seat, and copies of the same machine may
//! take it from each other three times a month.

use serde_json::json;

use crate::license::ending::{has, restart_services};
use crate::license::usage::Engine as _;
use crate::support::appliance::{Appliance, program};
use crate::support::folder::copy;
use crate::support::license::Licensed;
use crate::support::prerequisites::Namespace;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const DUPLICATE: &str = "-117 License status duplicate device id";
const LICENSED: &str = "3 License status concurrent license";

/// Starts the daemon on a machine of that identity: the hypervisor's is hidden, the system's replaced.
fn launch_on(appliance: &mut Appliance, digit: char) {
    let etc = appliance.folder().join("etc");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("machine-id"), format!("{}\n", digit.to_string().repeat(32))).unwrap();
    let script = "{ test ! -e \"$2\" || mount --bind \"$1/machine-id\" \"$2\"; } && \
        mount --bind \"$1\" /etc && shift 2 && exec \"$@\"";
    let mut command = Namespace::Mount.unshare().unwrap();
    command.args(["sh", "-c", script, "sh"]).arg(etc);
    command.arg("/sys/class/dmi/id/product_uuid");
    command.arg(program()).arg("serve").arg("--config").arg(appliance.config());
    appliance.launch_as(&mut command).unwrap();
}

#[test]
fn a_state_folder_on_another_machine_is_a_move_and_the_one_left_behind_is_refused() {
    if Namespace::Mount.unshare().is_none() {
        return;
    }
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let settings = vendor.settings(vendor.port());
    let (mut first, mut second) = (Appliance::prepare(&settings), Appliance::prepare(&settings));
    launch_on(&mut first, 'a');
    first.apply(&code).ok();
    first.uses(100);
    let id = first.license()["computer_id"].clone();
    first.stop();
    copy(&first.state(""), &second.state(""));

    launch_on(&mut second, 'b');
    until(SOON, "the move is known", || {
        let known = vendor.show(&code)["appliances"][0]["computer_id"].clone();
        (known != id).then_some(())
    });
    launch_on(&mut first, 'a');
    until(SOON, "the one left behind is refused", || has(&first, DUPLICATE));
    second.logs(0, "runs on another computer than before");
    second.apply(&code).ok();
    let known = vendor.show(&code);
    assert_eq!(known["appliances"][0]["computer_id"], second.license()["computer_id"]);
    let told = ["activated", "secs_used", "takeovers"].map(|name| known[name].clone());
    assert_eq!(told, [json!(1), json!(100), json!(0)], "{known}");
    assert_eq!(has(&second, LICENSED), Some(()));
    assert_eq!(has(&first, DUPLICATE), Some(()));
}

#[test]
fn a_machine_that_moves_twice_before_anybody_hears_of_it_keeps_its_seat() {
    if Namespace::Mount.unshare().is_none() {
        return;
    }
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
    launch_on(&mut appliance, 'a');
    appliance.apply(&code).ok();
    vendor.kill();
    for digit in ['b', 'c'] {
        appliance.stop();
        launch_on(&mut appliance, digit);
        assert_eq!(appliance.license()["licensed"], true);
    }
    vendor.serve();
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    let known = vendor.show(&code);
    assert_eq!((&known["activated"], &known["secs_used"]), (&json!(1), &json!(0)), "{known}");
}

#[test]
fn two_copies_may_take_the_seat_from_each_other_three_times_a_month_and_not_four() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let settings = vendor.settings(vendor.port());
    let mut first = Appliance::start(&settings);
    first.apply(&code).ok();
    first.stop();
    let mut second = Appliance::prepare(&settings);
    copy(&first.state(""), &second.state(""));
    first.launch();
    first.apply(&code).ok();
    second.launch();
    until(SOON, "the copy has its own account", || {
        (vendor.show(&code)["appliances"][0]["epoch"] == 2).then_some(())
    });
    let (mut holder, mut other) = (&second, &first);
    for _ in 0..3 {
        restart_services(other);
        until(SOON, "the other one is refused", || has(other, DUPLICATE));
        assert_eq!(other.apply(&code).ok().json()["licensed"], true, "a person may choose");
        (holder, other) = (other, holder);
    }
    restart_services(other);
    until(SOON, "the other one is refused", || has(other, DUPLICATE));
    let fourth = other.apply(&code);
    let told = fourth.json();
    assert_eq!((fourth.status, &told["reason"]), (400, &json!("too_many_takeovers")), "{told}");
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.contains("3 times within 30 days: it is free again on 20"), "{hint}");
    assert_eq!(has(holder, LICENSED), Some(()));
    let known = vendor.show(&code);
    assert_eq!((&known["activated"], &known["takeovers"]), (&json!(1), &json!(3)), "{known}");
    let sum = ["secs_left", "secs_held", "secs_used"].map(|part| known[part].as_i64().unwrap());
    assert_eq!(sum.iter().sum::<i64>(), 1_800_000, "{known}");
}
