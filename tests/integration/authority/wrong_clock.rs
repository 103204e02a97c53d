//! A clock that jumps: nobody is answered until it is right or a person says that it is.

use applianced::protocol::message::{Denial, Kind, Op};

use crate::authority::fixture::sell;
use crate::authority::machine::{Machine, exchange};
use crate::support::clock::DAY;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

fn health(vendor: &Vendor) -> String {
    let (_, body) = exchange(vendor.address(), b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn nobody_is_answered_by_a_clock_that_jumped_until_it_is_right_again() {
    let mut vendor = Vendor::with_clock();
    let mut machine = Machine::new(&sell(&vendor, &[]), vendor.trust());
    let address = vendor.address();
    for days in [40, -40] {
        vendor.set_clock(days * DAY);
        let denied = machine.send(address, &machine.request(Op::Activate)).unwrap();
        assert_eq!((denied.kind, denied.denial), (Kind::Denied, Some(Denial::Unavailable)));
        until(SOON, "load balancers are told", || {
            health(&vendor).ends_with("the clock is not believed\n").then_some(())
        });
        let way = if days > 0 { "beyond" } else { "before" };
        vendor.logged(&format!("more than a day {way} the newest time"));
        // A restart makes it no better.
        vendor.stop();
        vendor.serve();
        let denied = machine.send(address, &machine.request(Op::Sync)).unwrap();
        assert_eq!(denied.denial, Some(Denial::Unavailable));
        vendor.set_clock(0);
        until(SOON, "all is well", || (health(&vendor) == "ok\n").then_some(()));
    }
    vendor.set_clock(DAY / 2);
    assert_eq!(machine.ask(address, Op::Activate).kind, Kind::Lease, "half a day is no jump");
}

#[test]
fn after_a_long_time_off_a_person_says_once_that_the_clock_is_right() {
    let mut vendor = Vendor::with_clock();
    let mut machine = Machine::new(&sell(&vendor, &[]), vendor.trust());
    vendor.stop();
    vendor.set_clock(3 * DAY);
    vendor.serve();
    let denied = machine.send(vendor.address(), &machine.request(Op::Activate)).unwrap();
    assert_eq!(denied.denial, Some(Denial::Unavailable));
    vendor.stop();
    vendor.serve_with(&["--clock-is-right"]);
    assert_eq!(machine.ask(vendor.address(), Op::Activate).kind, Kind::Lease);
    vendor.stop();
    vendor.serve();
    assert_eq!(machine.ask(vendor.address(), Op::Sync).kind, Kind::Lease);
}
