#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::{Acceptance, Bundle, Dated, Dates, Error, KeyId, Trust, trust_file};
use crate::license::protocol::key::{RequestKey, SigningKey};
use crate::license::protocol::token;
use crate::license::protocol::token::Type;

fn kid(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

/// Two roots, one issuer that signs from 100 to 200, two request keys.
struct Fixture {
    roots: [SigningKey; 2],
    issuer: SigningKey,
    bundle: Bundle,
}

impl Fixture {
    fn new() -> Fixture {
        let issuer = SigningKey::generate().unwrap();
        let request_key = |name: &str, nbf: i64, exp: i64| Dated {
            key: RequestKey::generate(kid(name)).unwrap().public().unwrap(),
            nbf,
            exp,
        };
        let bundle = Bundle {
            seq: 5,
            exp: 300,
            issuers: vec![(kid("i1"), Dated { key: issuer.public(), nbf: 100, exp: 200 })],
            request_keys: vec![request_key("k1", 50, 150), request_key("k2", 100, 200)],
            revoked: Vec::new(),
        };
        let roots = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        Fixture { roots, issuer, bundle }
    }

    fn signed(&self, root: usize, bundle: &Bundle) -> String {
        bundle.sign(&kid(["r1", "r2"][root]), &self.roots[root])
    }

    fn trust(&self) -> Trust {
        let roots = [(kid("r1"), self.roots[0].public()), (kid("r2"), self.roots[1].public())];
        Trust::parse(trust_file(&roots, &self.signed(0, &self.bundle)).as_bytes()).unwrap()
    }

    fn lease(&self) -> String {
        token::sign(Type::Lease, &kid("i1"), &json!({"granted": 60}), &self.issuer)
    }
}

#[test]
fn a_lookup_says_what_is_wrong_with_a_key() {
    let mut fixture = Fixture::new();
    let lease = fixture.lease();
    let verify = |trust: &Trust, now| trust.verify(Type::Lease, &lease, Dates::At(now));
    let trust = fixture.trust();
    assert_eq!(verify(&trust, 100).unwrap()["granted"], 60);
    assert_eq!(verify(&trust, 99), Err(Error::NotYetValid(kid("i1"), 100)));
    assert_eq!(verify(&trust, 200), Err(Error::Expired(kid("i1"), 200)));
    assert_eq!(verify(&trust, 300), Err(Error::BundleExpired(300)));
    assert!(trust.verify(Type::Lease, &lease, Dates::Ignored).is_ok());
    let as_certificate = trust.verify(Type::LicenseCertificate, &lease, Dates::At(150));
    assert_eq!(as_certificate, Err(Error::BadSignature));

    fixture.bundle.revoked = vec![kid("i1")];
    let trust = fixture.trust();
    assert_eq!(verify(&trust, 150), Err(Error::Revoked(kid("i1"))));
    assert_eq!(trust.verify(Type::Lease, &lease, Dates::Ignored), Err(Error::Revoked(kid("i1"))));

    fixture.bundle.revoked.clear();
    fixture.bundle.issuers.clear();
    assert_eq!(verify(&fixture.trust(), 150), Err(Error::UnknownKey(kid("i1"))));
}

#[test]
fn only_a_newer_bundle_of_a_root_is_taken_in() {
    let fixture = Fixture::new();
    let mut trust = fixture.trust();
    let numbered = |seq| Bundle { seq, ..fixture.bundle.clone() };
    for seq in [1, 5] {
        let old = fixture.signed(0, &numbered(seq));
        assert_eq!(trust.accept(&old), Ok(Acceptance::NotNewer));
    }
    let newer = fixture.signed(0, &numbered(6));
    assert_eq!(trust.accept(&newer), Ok(Acceptance::Newer));
    assert_eq!((trust.bundle().seq, trust.bundle_token()), (6, newer.as_str()));

    let by_issuer = numbered(7).sign(&kid("i1"), &fixture.issuer);
    assert_eq!(trust.accept(&by_issuer), Err(Error::UnknownKey(kid("i1"))));
    let forged = numbered(7).sign(&kid("r1"), &fixture.issuer);
    assert_eq!(trust.accept(&forged), Err(Error::BadSignature));
    assert_eq!(trust.bundle().seq, 6);
}

#[test]
fn the_next_root_begins_a_count_of_its_own_and_ends_that_of_the_first() {
    let fixture = Fixture::new();
    let mut trust = fixture.trust();
    let numbered = |seq| Bundle { seq, ..fixture.bundle.clone() };
    assert_eq!(trust.accept(&fixture.signed(0, &numbered(1 << 40))), Ok(Acceptance::Newer));
    assert_eq!(trust.accept(&fixture.signed(1, &numbered(1))), Ok(Acceptance::Newer));
    assert_eq!(trust.accept(&fixture.signed(0, &numbered(1 << 41))), Ok(Acceptance::NotNewer));
}

#[test]
fn a_certificate_may_bring_the_bundle_that_names_its_issuer() {
    let fixture = Fixture::new();
    let mut trust = fixture.trust();
    let next = SigningKey::generate().unwrap();
    let mut bundle = fixture.bundle.clone();
    bundle.seq = 6;
    bundle.issuers = vec![(kid("i2"), Dated { key: next.public(), nbf: 100, exp: 200 })];
    let payload = json!({"granted": 60, "bundle": fixture.signed(0, &bundle)});
    let certificate = token::sign(Type::LicenseCertificate, &kid("i2"), &payload, &next);
    assert!(trust.verify(Type::LicenseCertificate, &certificate, Dates::At(150)).is_err());
    assert_eq!(trust.verify_certificate(&certificate, Dates::At(150)), Ok(payload));
    assert_eq!(trust.bundle().seq, 6);

    let payload = json!({"bundle": bundle.sign(&kid("r1"), &next)});
    let own_root = token::sign(Type::LicenseCertificate, &kid("i3"), &payload, &next);
    let refused = trust.verify_certificate(&own_root, Dates::At(150));
    assert_eq!(refused, Err(Error::UnknownKey(kid("i3"))));
}

#[test]
fn requests_are_sealed_to_the_youngest_valid_key_and_never_to_a_revoked_one() {
    let mut fixture = Fixture::new();
    let names = |trust: &Trust, now| -> Vec<String> {
        trust.request_keys(now).iter().map(|key| key.kid.to_string()).collect()
    };
    let trust = fixture.trust();
    assert_eq!(names(&trust, 120), ["k2", "k1"]);
    assert_eq!(names(&trust, 60), ["k1", "k2"]);
    assert_eq!(names(&trust, 0), ["k2", "k1"], "a wrong clock must not keep anyone from asking");
    fixture.bundle.revoked = vec![kid("k2")];
    assert_eq!(names(&fixture.trust(), 120), ["k1"]);
}

#[test]
fn a_trust_file_is_read_again_and_a_wrong_one_is_explained() {
    let fixture = Fixture::new();
    let trust = fixture.trust();
    let again = Trust::parse(trust.to_file().as_bytes()).unwrap();
    assert_eq!((again.bundle(), again.bundle_token()), (trust.bundle(), trust.bundle_token()));
    assert!(Trust::parse(b"{}").unwrap_err().to_string().contains("`v` is missing"));
    assert!(Trust::parse(br#"{"v":2}"#).unwrap_err().to_string().contains("version 2"));
    let other = trust_file(&[(kid("r1"), fixture.issuer.public())], trust.bundle_token());
    assert!(Trust::parse(other.as_bytes()).unwrap_err().to_string().contains("not genuine"));
}
