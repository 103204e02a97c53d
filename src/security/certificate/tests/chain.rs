//! Keys, certificates and dates that don't go together.

use rcgen::DnValue;

use super::*;

#[test]
fn a_key_that_belongs_to_no_certificate_is_refused() {
    let (leaf, intermediate, _) = family();
    let chain = leaf.pem() + &intermediate.pem();
    let other = root("other");
    refused(other.key_pem(), chain, &["does not belong to certificate 1 (CN=leaf) in certfile"]);
}

#[test]
fn a_key_that_belongs_to_a_later_certificate_is_told_the_right_order() {
    let (leaf, intermediate, root) = family();
    let reversed = root.pem() + &intermediate.pem() + &leaf.pem();
    refused(
        leaf.key_pem(),
        reversed,
        &["belongs to certificate 3 (CN=leaf)", "must stand first", "order is 3, 2, 1"],
    );
    refused(intermediate.key_pem(), leaf.pem() + &intermediate.pem(), &["certificate 2", "first,"]);
}

#[test]
fn a_chain_out_of_order_is_told_which_certificate_and_the_right_order() {
    let (leaf, intermediate, root) = family();
    refused(
        leaf.key_pem(),
        leaf.pem() + &root.pem() + &intermediate.pem(),
        &[
            "out of order: certificate 2 (CN=Root) in certfile did not issue certificate 1 (CN=leaf)"
                .replace(" in certfile", "")
                .as_str(),
            "whose issuer is CN=Intermediate",
            "the right order is 1, 3, 2",
        ],
    );
}

#[test]
fn a_certificate_that_belongs_to_another_chain_is_refused() {
    let (leaf, intermediate, made_root) = family();
    let other = root("Other");
    let key = leaf.key_pem();
    refused(&key, leaf.pem() + &other.pem(), &["certificate 2 (CN=Other)", "leave", "out"]);
    refused(
        &key,
        leaf.pem() + &other.pem() + &intermediate.pem() + &made_root.pem(),
        &["1, 3, 4; leave out the others"],
    );
    let namesake = root("Intermediate");
    refused(&key, leaf.pem() + &namesake.pem(), &["another key", "certificate 2"]);
}

#[test]
fn a_repeated_certificate_is_refused() {
    let (leaf, intermediate, _) = family();
    refused(
        leaf.key_pem(),
        leaf.pem() + &intermediate.pem() + &leaf.pem(),
        &["certificate 3 (CN=leaf) in certfile is the same as certificate 1"],
    );
    let many = leaf.pem().repeat(17);
    refused(leaf.key_pem(), many, &["17 certificates", "at most 16"]);
}

#[test]
fn dates_of_every_certificate_are_judged_by_the_appliances_clock() {
    let root = root("Root");
    let dated = |name, from, until| {
        let mut params = params(name, true);
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        issue_with(params, KeyPair::generate().unwrap(), &root)
    };
    let clock = "clock says 2026-11-21T00:00:00Z";
    let expired = dated("old", 2019, 2020);
    let words = ["certificate 1 (CN=old) in certfile expired at 2020-01-01T00:00:00Z", clock];
    refused(expired.key_pem(), expired.pem(), &words);
    let early = dated("new", 2030, 2040);
    let words = ["certificate 1 (CN=new) in certfile is not valid before 2030-01-01T", clock];
    refused(early.key_pem(), early.pem(), &words);
    let leaf = issue("leaf", false, &expired);
    refused(leaf.key_pem(), leaf.pem() + &expired.pem(), &["certificate 2 (CN=old)", "expired"]);
    // Only the first is the reader's to renew.
    let words = ["put the one that replaced it, from your certificate authority, in its place"];
    refused(leaf.key_pem(), leaf.pem() + &expired.pem(), &words);
    let mut surplus = params("Root", true);
    (surplus.not_before, surplus.not_after) =
        (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let surplus = alone(surplus, root.key);
    let middle = dated_by(&surplus);
    let leaf = issue("leaf", false, &middle);
    let chain = leaf.pem() + &middle.pem() + &surplus.pem();
    refused(leaf.key_pem(), chain, &["certificate 3 (CN=Root)", "leave certificate 3 out, or set"]);
    // In service it may go on: a surprise at the next start would be worse.
    let stored = expired.pem() + &expired.key_pem();
    assert!(from_file(stored.as_bytes(), Source::Uploaded).is_ok());
}

fn dated_by(authority: &Made) -> Made {
    issue("Middle", true, authority)
}

#[test]
fn names_that_differ_in_the_kind_of_string_the_case_and_blanks_are_the_same() {
    let authority = |name: DnValue| {
        let mut params = params("x", true);
        params.distinguished_name.push(DnType::CommonName, name);
        alone(params, KeyPair::generate().unwrap())
    };
    let printable = |text: &str| DnValue::PrintableString(text.try_into().unwrap());
    let issuer = authority(printable("Ex Inter"));
    let leaf = issue("leaf", false, &issuer);
    for (name, same) in [
        (DnValue::Utf8String("Ex Inter".into()), true),
        (DnValue::Utf8String("EX  Inter ".into()), true),
        (DnValue::BmpString("ex inter".try_into().unwrap()), true),
        (printable("ExInter"), false),
        (DnValue::Utf8String("Ex Other".into()), false),
    ] {
        let mut params = issuer.params.clone();
        params.distinguished_name.push(DnType::CommonName, name.clone());
        let der = params.self_signed(&issuer.key).unwrap().der().clone();
        let chain = leaf.pem() + &block("CERTIFICATE", &der);
        let taken = from_upload(leaf.key_pem().as_bytes(), chain.as_bytes(), NOW);
        assert_eq!(taken.is_ok(), same, "{name:?}: {:?}", taken.err());
    }
}
