//! Appliances without a network: certificates that people carry.

use applianced::protocol::claims::Lease;
use applianced::protocol::message::Op;
use serde_json::Value;

use crate::authority::fixture::{self, sell};
use crate::authority::machine::{Machine, NOW};
use crate::support::vendor::Vendor;

fn fixture() -> (Vendor, String, Machine) {
    fixture::fixture(&["--offline-mode", "--offline-secs", "400"])
}

#[test]
fn the_same_activation_certificate_gives_the_same_license_certificate() {
    let (vendor, code, mut machine) = fixture();
    let activation = machine.certificate(Op::Activate);
    let license = vendor.sign(&activation);
    let Lease { granted, req_id, offline_mode, .. } = machine.apply(&license, NOW);
    assert_eq!((granted, offline_mode), (400, true));

    let file = vendor.scratch("activation.txt");
    let wrapped = format!(
        "\u{feff}-----BEGIN-----\r\n{}\r\n{}\r\n",
        &activation[..64].to_uppercase(),
        &activation[64..]
    );
    std::fs::write(&file, &wrapped).unwrap();
    assert_eq!(vendor.ok(&["sign", file.to_str().unwrap()]), license);
    let wide: Vec<u8> = wrapped.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&file, wide).unwrap();
    let refused = vendor.run(&["sign", file.to_str().unwrap()]);
    assert!(refused.code == 1 && refused.err.contains("save it as UTF-8"), "{refused:?}");
    let shown = vendor.show(&code);
    assert_eq!((&shown["secs_left"], &shown["audit"]), (&600.into(), &"2 entries, intact".into()));
    assert_eq!(machine.apply(&license, NOW).req_id, req_id);
}

#[test]
fn a_renewal_continues_where_the_license_certificate_stood() {
    let (vendor, code, mut machine) = fixture();
    let license = vendor.sign(&machine.certificate(Op::Activate));
    machine.apply(&license, NOW);
    machine.consumed = 300;
    let renewed = vendor.sign(&machine.certificate(Op::Sync));
    assert_eq!(machine.apply(&renewed, NOW).granted, 700);
    let shown = vendor.show(&code);
    assert_eq!((&shown["secs_left"], &shown["secs_used"]), (&300.into(), &300.into()));

    machine.consumed = 299;
    let refused = vendor.feed(&["sign", "-"], &machine.certificate(Op::Sync));
    assert!(refused.code == 1 && refused.err.contains("lower"), "{refused:?}");
}

#[test]
fn a_license_certificate_brings_the_bundle_that_names_its_issuer() {
    let (vendor, _, mut machine) = fixture();
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    let license = vendor.sign(&machine.certificate(Op::Activate));
    assert_eq!(machine.apply(&license, NOW).granted, 400);
    assert_eq!(machine.trust.bundle().seq, 2);
}

#[test]
fn a_license_certificate_whose_key_was_revoked_on_its_way_is_signed_again() {
    let (vendor, code, mut machine) = fixture();
    let activation = machine.certificate(Op::Activate);
    let lost = vendor.sign(&activation);
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    let again = vendor.sign(&activation);
    assert_ne!(lost, again);
    assert_eq!(machine.apply(&again, NOW).granted, 400);
    assert_eq!(vendor.sign(&activation), again);
    assert_eq!(vendor.show(&code)["secs_left"], 600);
}

#[test]
fn a_return_certificate_is_credited_once() {
    let (vendor, code, mut machine) = fixture();
    let license = vendor.sign(&machine.certificate(Op::Activate));
    machine.apply(&license, NOW);
    machine.consumed = 150;
    let back = machine.certificate(Op::Return);
    for words in [
        "250 seconds were credited to the license",
        "this certificate was redeemed before, for 250 seconds",
    ] {
        let said = vendor.feed(&["redeem", "-"], &back).ok().out;
        assert!(said.starts_with(words), "{said}");
        assert_eq!(vendor.show(&code)["secs_left"], 850);
    }
    // Once the appliance has a license again, an old certificate is not about that.
    let license = vendor.sign(&machine.certificate(Op::Activate));
    machine.apply(&license, NOW);
    let late = vendor.feed(&["redeem", "-"], &back);
    assert!(late.code == 1 && late.err.contains("it was returned or released before"), "{late:?}");
    assert_eq!(vendor.show(&code)["secs_held"], 400);
}

#[test]
fn what_is_mangled_forged_or_not_allowed_is_refused_each_in_its_own_words() {
    let (vendor, _, machine) = fixture();
    let activation = machine.certificate(Op::Activate);
    let plain = sell(&vendor, &[]);
    let not_allowed = Machine::new(&plain, vendor.trust()).certificate(Op::Activate);
    let other = Machine::new(&plain, Vendor::init().trust()).certificate(Op::Activate);
    let license = vendor.sign(&activation);
    for (certificate, said) in [
        (format!("> {activation}"), "is damaged"),
        (activation[..1_000].to_owned(), "is damaged"),
        (String::new(), "empty"),
        (other, "not genuine"),
        (license.clone(), "a license certificate"),
        (machine.certificate(Op::Return), "a return certificate"),
        (not_allowed, "Offline mode not enabled"),
    ] {
        let refused = vendor.feed(&["sign", "-"], &certificate);
        assert!(refused.code == 1 && refused.err.contains(said), "{said}: {refused:?}");
        assert_eq!(refused.out, "");
    }
}

#[test]
fn anybody_may_look_into_a_certificate() {
    let (vendor, code, machine) = fixture();
    let activation = machine.certificate(Op::Activate);
    let license = vendor.sign(&activation);
    let inspect = |dir: &str, text: &str| -> Value {
        let file = vendor.scratch("inspected.txt");
        std::fs::write(&file, text).unwrap();
        let words = ["inspect", file.to_str().unwrap(), "--json", "--dir", dir];
        let output = std::process::Command::new(crate::support::vendor::program())
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let shown = inspect("/nowhere", &license);
    assert_eq!(
        (&shown["says"]["license"], &shown["seconds"]),
        (&code.as_str().into(), &400.into())
    );
    assert!(shown["genuine"].as_str().unwrap().starts_with("not checked"));
    let shown = inspect(vendor.dir().to_str().unwrap(), &license);
    assert_eq!(shown["genuine"], "yes, as a license-cert");
    let shown = inspect("/nowhere", &activation);
    assert!(!shown.to_string().contains(&code), "an activation certificate tells nothing: {shown}");
}
