#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::json;

use super::{KeyKind, Keyring};
use crate::authority::database::files::Files;
use crate::license::protocol::token;
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::{Acceptance, Dates, Error};
use crate::store::Scratch;

const NOW: i64 = 1_763_710_000;

fn init(dir: &Path, customer: i64, now: i64) -> Result<bool, crate::store::Error> {
    super::init(&Files::new(dir).unwrap(), dir, customer, now)
}

fn rotate(dir: &Path, which: KeyKind, revoke: bool, now: i64) -> Result<(), crate::store::Error> {
    super::rotate(&Files::new(dir).unwrap(), dir, which, revoke, now).map(|_| ())
}

fn load(dir: &Path) -> Result<Keyring, crate::store::Error> {
    assert!(super::verify(&Files::new(dir).unwrap(), dir).is_ok_and(|lines| lines > 0));
    Keyring::load(&Files::new(dir).unwrap(), dir)
}

#[test]
fn an_appliance_with_the_trust_file_follows_every_rotation() {
    let scratch = Scratch::new();
    let dir = scratch.0.join("authority");
    assert!(init(&dir, 4949, NOW).unwrap());
    assert!(!init(&dir, 4949, NOW).unwrap(), "only once");
    let first = load(&dir).unwrap();
    let on_disk = std::fs::read_to_string(dir.join("trust.json")).unwrap();
    assert_eq!(on_disk, first.trust_file());
    let mut trust = first.trust().unwrap();
    let lease = |keys: &Keyring| {
        let (kid, key) = keys.issuer(NOW).unwrap();
        token::sign(Type::Lease, kid, &json!({}), key)
    };
    let old = lease(&first);
    assert!(trust.verify(Type::Lease, &old, Dates::At(NOW)).is_ok());

    rotate(&dir, KeyKind::Request, false, NOW).unwrap();
    rotate(&dir, KeyKind::Issuer, false, NOW + 1).unwrap();
    let second = load(&dir).unwrap();
    let new = lease(&second);
    assert!(matches!(trust.verify(Type::Lease, &new, Dates::Ignored), Err(Error::UnknownKey(_))));
    assert_eq!(trust.accept(&second.bundle), Ok(Acceptance::Newer));
    for token in [&old, &new] {
        assert!(trust.verify(Type::Lease, token, Dates::At(NOW)).is_ok());
    }
    assert_eq!(trust.request_keys(NOW)[0].kid.as_str(), "k2");

    rotate(&dir, KeyKind::Issuer, true, NOW + 2).unwrap();
    let third = load(&dir).unwrap();
    assert_eq!(trust.accept(&third.bundle), Ok(Acceptance::Newer));
    for token in [&old, &new] {
        assert!(matches!(trust.verify(Type::Lease, token, Dates::Ignored), Err(Error::Revoked(_))));
    }
    assert!(trust.verify(Type::Lease, &lease(&third), Dates::At(NOW)).is_ok());
}

#[test]
fn without_the_root_key_nothing_is_rotated() {
    let scratch = Scratch::new();
    let dir = scratch.0.join("authority");
    init(&dir, 4949, NOW).unwrap();
    std::fs::rename(dir.join("root.key"), dir.join("elsewhere")).unwrap();
    let error = rotate(&dir, KeyKind::Issuer, false, NOW).unwrap_err().to_string();
    assert!(error.contains("put the root key back"), "{error}");
    assert_eq!(load(&dir).unwrap().seq, 1);
}

#[test]
fn a_trust_file_that_a_power_cut_left_old_is_written_again() {
    let scratch = Scratch::new();
    let dir = scratch.0.join("authority");
    init(&dir, 4949, NOW).unwrap();
    std::fs::write(dir.join("trust.json"), "{}").unwrap();
    let keys = load(&dir).unwrap();
    keys.write_trust(&dir).unwrap();
    assert_eq!(std::fs::read_to_string(dir.join("trust.json")).unwrap(), keys.trust_file());
}
