#![allow(clippy::unwrap_used)]

mod examples;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};

use serde_json::{Value, json};

use super::{AnswerError, RequestError, RequestKey, Sealed, SigningKey, info, open, seal_to};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::key::{KeyId, RequestPublicKey};
use crate::license::protocol::message::{Answer, Kind, Mode, Op, ReportedClock, Request, User};

pub(crate) fn request(op: Op) -> Request {
    Request {
        op,
        req_id: RequestId([7; 16]),
        ts: 1_763_710_000,
        license: "494953679762904933".to_owned(),
        product: "103".to_owned(),
        version: "5.0.0".to_owned(),
        computer_id: "bc8e7e32-7cc6-4292-83e5-555c726ae8d8".to_owned(),
        prev_computer_id: None,
        epoch: 1,
        seq: 2,
        prev: Digest::of(b"token"),
        consumed: 30,
        granted: 60,
        want: 3_600,
        mode: Mode::Online,
        log_head: Digest::NONE,
        clock: ReportedClock { wall: 1_763_710_000, regressions: 0 },
        bundle_seq: 1,
        instead_of: None,
        user: User::default(),
    }
}

struct Fixture {
    key: RequestKey,
    public: RequestPublicKey,
    device: SigningKey,
}

impl Fixture {
    fn new() -> Fixture {
        let key = RequestKey::generate(KeyId::parse("k1").unwrap()).unwrap();
        let public = key.public().unwrap();
        Fixture { key, public, device: SigningKey::generate().unwrap() }
    }
}

fn answer() -> Answer {
    Answer::plain(request(Op::Sync).req_id, 1_763_710_001, Kind::Lease)
}

/// Every text that differs from `original` in one bit.
fn one_bit_off(original: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..original.len() * 8).map(|bit| {
        let mut changed = original.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[test]
fn request_and_answer_arrive() {
    let fixture = Fixture::new();
    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let opened = open(&sent.body, std::slice::from_ref(&fixture.key)).unwrap();
    assert_eq!((&opened.request, opened.device), (&request(Op::Sync), fixture.device.public()));
    let back = opened.reply.seal(&answer()).unwrap();
    assert_eq!(sent.opener.open(&back), Ok(answer()));
}

#[test]
fn nothing_of_a_request_can_be_read_and_its_length_reveals_little() {
    let fixture = Fixture::new();
    let mut long = request(Op::Activate);
    long.user.email_address = "person@example.com".to_owned();
    let lengths: Vec<usize> = [request(Op::Activate), long]
        .iter()
        .map(|request| {
            let sent = seal_to(request, &fixture.public, &fixture.device).unwrap();
            let body = String::from_utf8(sent.body).unwrap();
            for secret in [&request.license, &request.computer_id, "example"] {
                assert!(!body.contains(secret), "{body}");
            }
            sent.sealed.ct.len() - 16
        })
        .collect();
    assert!(lengths.iter().all(|length| length % 256 == 0), "{lengths:?}");
    assert_eq!(lengths[0], lengths[1]);
}

#[test]
fn no_bit_of_a_request_can_be_changed() {
    let fixture = Fixture::new();
    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    for (bit, changed) in one_bit_off(&sent.body).enumerate() {
        assert!(open(&changed, std::slice::from_ref(&fixture.key)).is_err(), "bit {bit}");
    }
}

#[test]
fn no_bit_of_an_answer_can_be_changed() {
    let fixture = Fixture::new();
    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let opened = open(&sent.body, std::slice::from_ref(&fixture.key)).unwrap();
    let back = opened.reply.seal(&answer()).unwrap();
    for (bit, changed) in one_bit_off(&back).enumerate() {
        assert!(sent.opener.open(&changed).is_err(), "bit {bit}");
    }
}

#[test]
fn an_answer_fits_its_own_request_only() {
    let fixture = Fixture::new();
    let seal = || seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let (yesterday, today) = (seal(), seal());
    assert_ne!(yesterday.body, today.body);
    let opened = open(&yesterday.body, std::slice::from_ref(&fixture.key)).unwrap();
    let back = opened.reply.seal(&answer()).unwrap();
    assert_eq!(today.opener.open(&back), Err(AnswerError::NotGenuine));

    let other = Answer { req_id: RequestId([8; 16]), ..answer() };
    let back = opened.reply.seal(&other).unwrap();
    assert!(matches!(yesterday.opener.open(&back), Err(AnswerError::Malformed(_))));
}

#[test]
fn a_request_signed_by_another_device_is_refused() {
    let fixture = Fixture::new();
    let other_device = SigningKey::generate().unwrap();
    // The device key inside is the honest one; the signature is not its own.
    let text = request(Op::Return).to_json(&fixture.device.public(), &"A".repeat(43)).to_string();
    let signature = super::base64url(&other_device.sign(&super::device_bytes(&text)));
    let plain = json!({"b": text, "s": signature}).to_string();
    let public = super::HpkePublicKey(fixture.public.public.to_vec());
    let (enc, ct) =
        super::suite().seal(&info(&fixture.key.kid), b"", plain.as_bytes(), &public).unwrap();
    let enc = enc.0.try_into().unwrap();
    let body = Sealed { kid: fixture.key.kid.clone(), enc, ct }.to_body();
    assert_eq!(open(&body, &[fixture.key]).err(), Some(RequestError::NotGenuine));
}

#[test]
fn what_cannot_be_opened_is_told_unsealed_and_changes_nothing() {
    let fixture = Fixture::new();
    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let Err(unknown) = open(&sent.body, &[]) else { unreachable!() };
    assert_eq!(unknown.to_body(), br#"{"v":1,"error":"unknown kid"}"#);
    assert_eq!(sent.opener.open(&unknown.to_body()), Err(AnswerError::UnknownKey));
    let other = RequestError::Malformed("`v` is missing".to_owned());
    let expected = AnswerError::Unsealed("`v` is missing".to_owned());
    assert_eq!(sent.opener.open(&other.to_body()), Err(expected));
    for portal in ["", "<html>Please log in</html>", "{}", r#"{"v":1}"#, r#"{"v":2,"ct":""}"#] {
        assert_eq!(sent.opener.open(portal.as_bytes()), Err(AnswerError::WrongServer), "{portal}");
    }
    assert_eq!(sent.opener.open(&vec![b' '; 70_000]), Err(AnswerError::WrongServer));
}

#[test]
fn a_second_implementation_of_hpke_opens_our_request() {
    let fixture = Fixture::new();
    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let private =
        <X25519HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(&fixture.key.secret()[..]).unwrap();
    let enc = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(&sent.sealed.enc).unwrap();
    let mut context = hpke::setup_receiver::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &enc,
        b"appliance-license/1 request\0v=1;kid=k1;suite=0020-0001-0002",
    )
    .unwrap();
    let plain = String::from_utf8(context.open(&sent.sealed.ct, b"").unwrap()).unwrap();
    assert!(plain.contains(r#"\"license\":\"494953679762904933\""#), "{plain}");
}

#[test]
fn we_open_the_request_of_a_second_implementation_of_hpke() {
    let fixture = Fixture::new();
    let text = request(Op::Sync).to_json(&fixture.device.public(), &"A".repeat(43)).to_string();
    let signature = super::base64url(&fixture.device.sign(&super::device_bytes(&text)));
    let plain = json!({"b": text, "s": signature}).to_string();
    let public =
        <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&fixture.public.public).unwrap();
    let (enc, mut context) = hpke::setup_sender::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        &info(&fixture.key.kid),
    )
    .unwrap();
    let ct = context.seal(plain.as_bytes(), b"").unwrap();
    let enc = enc.to_bytes().as_slice().try_into().unwrap();
    let body = Sealed { kid: fixture.key.kid.clone(), enc, ct }.to_body();
    assert_eq!(open(&body, &[fixture.key]).unwrap().request, request(Op::Sync));
}

/// A request of a later release: with unknown members at every depth.
fn of_a_later_release(fixture: &Fixture, version: i64) -> Vec<u8> {
    let mut text = request(Op::Sync).to_json(&fixture.device.public(), &"A".repeat(43));
    text["later"] = json!({"nested": [1]});
    text["user"]["later"] = json!(true);
    text["clock"]["later"] = json!(null);
    let text = text.to_string();
    let signature = super::base64url(&fixture.device.sign(&super::device_bytes(&text)));
    let plain = json!({"b": text, "s": signature, "later": 1}).to_string();
    let public = super::HpkePublicKey(fixture.public.public.to_vec());
    let (enc, ct) =
        super::suite().seal(&info(&fixture.key.kid), b"", plain.as_bytes(), &public).unwrap();
    let sealed = Sealed { kid: fixture.key.kid.clone(), enc: enc.0.try_into().unwrap(), ct };
    let mut body: Value = serde_json::from_slice(&sealed.to_body()).unwrap();
    (body["v"], body["later"]) = (version.into(), "x".into());
    body.to_string().into_bytes()
}

#[test]
fn what_another_release_adds_is_ignored_and_its_version_is_not() {
    let fixture = Fixture::new();
    let keys = std::slice::from_ref(&fixture.key);
    let opened = open(&of_a_later_release(&fixture, 1), keys).unwrap();
    assert_eq!(opened.request, request(Op::Sync));
    let refused = open(&of_a_later_release(&fixture, 2), keys).err().unwrap();
    assert_eq!(refused.to_string(), "version 2 is not supported, only 1");

    let sent = seal_to(&request(Op::Sync), &fixture.public, &fixture.device).unwrap();
    let expected = AnswerError::Unsealed("version 2 is not supported, only 1".to_owned());
    assert_eq!(sent.opener.open(&refused.to_body()), Err(expected));
    let opened = open(&sent.body, keys).unwrap();
    let mut inside = answer().to_json();
    inside["later"] = json!([{"a": 1}]);
    let sealed = opened.reply.0.seal(inside.to_string().into_bytes()).unwrap();
    let body = |version: i64| {
        json!({"v": version, "ct": super::base64url(&sealed), "later": 1}).to_string().into_bytes()
    };
    assert_eq!(sent.opener.open(&body(1)), Ok(answer()));
    assert_eq!(sent.opener.open(&body(2)), Err(AnswerError::WrongServer));
}
