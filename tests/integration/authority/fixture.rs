//! What most of these tests begin with: an authority, a license, and an appliance that is to have it.

use crate::authority::machine::Machine;
use crate::support::vendor::Vendor;

/// An authority that does not serve yet, a license of 1,000 seconds, and an appliance that is to have it.
pub(crate) fn fixture(flags: &[&str]) -> (Vendor, String, Machine) {
    let vendor = Vendor::init();
    let code = sell(&vendor, flags);
    let machine = Machine::new(&code, vendor.trust());
    (vendor, code, machine)
}

/// What [`fixture`] gives, with the authority serving.
pub(crate) fn serving(flags: &[&str]) -> (Vendor, String, Machine) {
    let (mut vendor, code, machine) = fixture(flags);
    vendor.serve();
    (vendor, code, machine)
}

/// Sells a license of 1,000 seconds, 60 of them at a time, with `more` flags; its code.
#[track_caller]
pub(crate) fn sell(vendor: &Vendor, more: &[&str]) -> String {
    vendor.sell(&[&["--secs", "1000", "--cache", "60"], more].concat())
}
