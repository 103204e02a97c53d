#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Answer, Denial, Kind, Op, Request};
use crate::license::protocol::fields::{Error, Fields};
use crate::license::protocol::hex::RequestId;
use crate::license::protocol::key::SigningKey;
use crate::license::protocol::wire::tests::request;

fn read(value: &Value) -> Result<Request, Error> {
    Request::from_fields(&Fields::of(value)?)
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let device = SigningKey::generate().unwrap().public();
    for op in Op::ALL.iter().copied() {
        for prev_computer_id in [None, Some("00000000-0000-0000-0000-00000000000a".to_owned())] {
            let instead_of = prev_computer_id.as_ref().map(|_| RequestId([9; 16]));
            let request = Request { prev_computer_id, instead_of, ..request(op) };
            let mut value = request.to_json(&device, "rk");
            value["later"] = json!({"anything": 1});
            assert_eq!(read(&value), Ok(request));
        }
    }
}

#[test]
fn a_member_of_the_wrong_type_or_range_is_named() {
    let device = SigningKey::generate().unwrap().public();
    let good = request(Op::Sync).to_json(&device, "rk");
    for (name, wrong) in [
        ("op", json!("steal")),
        ("req_id", json!("AB")),
        ("ts", json!("1")),
        ("license", json!("")),
        ("license", json!("49495367976290493x")),
        ("license", json!(494953679762904933_i64)),
        ("product", json!("1".repeat(17))),
        ("computer_id", json!("BC8E7E32-7cc6-4292-83e5-555c726ae8d8")),
        ("prev_computer_id", json!(false)),
        ("instead_of", json!("AB")),
        ("epoch", json!(-1)),
        ("seq", json!(1.5)),
        ("prev", json!("00")),
        ("consumed", json!(9_007_199_254_740_992_i64)),
        ("want", json!(null)),
        ("mode", json!("Online")),
        ("clock", json!([])),
        ("user", json!("me")),
    ] {
        let mut value = good.clone();
        value[name] = wrong.clone();
        let error = read(&value).unwrap_err().to_string();
        assert!(error.contains(name), "{name} {wrong}: {error}");
    }
    assert!(read(&json!([])).is_err());
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let id = request(Op::Sync).req_id;
    for kind in Kind::ALL.iter().copied() {
        let plain = Answer::plain(id, 1_700_000_000, kind);
        assert_eq!(Answer::from_json(&plain.to_json()), Ok(plain));
    }
    for denial in Denial::ALL.iter().copied() {
        let denied = Answer::denied(id, 1_700_000_000, denial);
        assert!(!denied.message.is_empty());
        assert_eq!(Answer::from_json(&denied.to_json()), Ok(denied));
    }
    let full = Answer {
        token: Some("i1.e30.e30".to_owned()),
        bundle: Some("r1.e30.e30".to_owned()),
        returned: 60_780,
        ..Answer::plain(id, 1, Kind::Returned)
    };
    assert_eq!(Answer::from_json(&full.to_json()), Ok(full));
}

#[test]
fn a_reason_of_a_later_release_is_still_a_refusal() {
    let mut value = Answer::denied(request(Op::Sync).req_id, 1, Denial::Suspended).to_json();
    value["reason"] = "on_holiday".into();
    let answer = Answer::from_json(&value).unwrap();
    assert_eq!((answer.kind, answer.denial, answer.code), (Kind::Denied, None, -114));
}

#[test]
fn neither_code_nor_person_is_shown_by_accident() {
    let mut request = request(Op::Activate);
    request.user.email_address = "person@example.com".to_owned();
    let shown = format!("{request:?}");
    assert!(!shown.contains(&request.license) && !shown.contains("example.com"), "{shown}");
}
