//! A listener on an address that the machine does not have yet: DHCP is late, or IPv6 still looks for a
//! duplicate.

use std::process::Command;

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::command::run;
use crate::support::prerequisites::{not_tried, root};
use crate::support::settings::{Settings, free_port};
use crate::support::wait::{SOON, until};

/// An address on the loopback interface that goes when the test goes.
struct Lent(String);

impl Lent {
    /// None where that can't be done, as in a container without the right to.
    fn to_loopback(address: &str) -> Option<Lent> {
        let lent = format!("{address}/{}", if address.contains(':') { 128 } else { 32 });
        let added = run(Command::new("ip").args(["addr", "add", &lent, "dev", "lo", "nodad"]));
        (added.code == 0).then_some(Lent(lent))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["addr", "del", &self.0, "dev", "lo"]).status();
    }
}

/// `address` is one of those for documentation (RFC 5737, RFC 3849), written as in a URL.
#[track_caller]
fn starts_without_and_serves_once_it_is_there(address: &str) {
    let port = free_port();
    let mut settings =
        vec![json!({"address": format!("{address}:{port}"), "serves": "management"})];
    let here = free_port();
    settings.push(json!({"address": format!("127.0.0.1:{here}"), "serves": "management"}));
    let appliance = Appliance::start(&Settings::v1().with("listen", json!(settings)));
    appliance.logs(0, &format!("warning {address}:{port} is not an address of this machine yet"));
    appliance.read(&format!("http://127.0.0.1:{here}/v1/management/ping")).ok();
    if !root() {
        return;
    }
    let Some(_lent) = Lent::to_loopback(address.trim_matches(['[', ']'])) else {
        not_tried("no address can be added here");
        return;
    };
    let there = format!("http://{address}:{port}/v1/management/ping");
    until(SOON, "it serves at the address", || {
        (appliance.curl(&["--globoff", &there]).status == 200).then_some(())
    });
}

#[test]
fn a_listener_whose_address_is_not_there_yet_costs_no_other_and_serves_once_it_is() {
    // So that two runs of this on one machine rarely meet.
    let own = 1 + std::process::id() % 254;
    starts_without_and_serves_once_it_is_there(&format!("192.0.2.{own}"));
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        starts_without_and_serves_once_it_is_there(&format!("[2001:db8::{own:x}]"));
    }
}
