//! Entry points for the fuzzers: each function takes any bytes, as from the network, a person or a disk, and
//! panics if an invariant does not hold.

use serde_json::{Value, json};

use super::protocol::wire;
use crate::license::client::proxy::Proxy;
use crate::license::protocol::certificate::{Certificate, read_license};
use crate::license::protocol::claims::{Lease, Receipt};
use crate::license::protocol::fields::Fields;
use crate::license::protocol::key::{KeyId, PublicKey, RequestKey};
use crate::license::protocol::message::{Answer, Request};
use crate::license::protocol::token::{Type, Unverified};
use crate::license::protocol::trust::Trust;
use crate::license::state::clock::Clock;
use crate::license::state::record::State;
use crate::license::state::usage_log::Head;

/// Pasted certificates; a certificate that is read can be written and read again.
pub fn certificate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = read_license(&text);
    if let Ok(certificate) = Certificate::read(&text) {
        let again = certificate.write().map(|line| Certificate::read(&line));
        assert_eq!(again, Some(Ok(certificate)));
    }
    // With a valid checksum, so that the fuzzer gets past it.
    let _ = Certificate::License(text.into_owned()).write();
}

/// Requests and answers, sealed and open.
pub fn message(data: &[u8]) {
    let key = KeyId::parse("r1").map(|kid| RequestKey::from_secret(kid, &[7; 32]));
    let _ = wire::open(data, &key.into_iter().collect::<Vec<_>>()).map(|_| ());
    let Ok(value) = crate::util::json::parse(data) else { return };
    if let Ok(answer) = Answer::from_json(&value) {
        assert!(Answer::from_json(&answer.to_json()).is_ok_and(|again| again == answer));
    }
    if let Ok(lease) = Lease::from_json(&value) {
        assert_eq!(Lease::from_json(&lease.to_json()), Ok(lease));
    }
    if let Ok(receipt) = Receipt::from_json(&value) {
        assert_eq!(Receipt::from_json(&json!(receipt)), Ok(receipt));
    }
    if let Ok(fields) = Fields::of(&value) {
        let _ = Request::from_fields(&fields).map(|_| ());
    }
}

/// Tokens: an unsigned token never verifies.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(token) = Unverified::parse(text) else { return };
    let _ = token.unverified_payload();
    let other = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    for kind in [Type::Lease, Type::LicenseCertificate] {
        assert!(other.as_ref().is_none_or(|key| token.verify(kind, key).is_none()));
    }
}

/// `license.json` under its seal, `license-network.json`, the trust file.
pub fn state(data: &[u8]) {
    let _ =
        Trust::parse(data).map(|trust| assert!(Trust::parse(trust.to_file().as_bytes()).is_ok()));
    if let Ok(proxy) = Proxy::from_file(data) {
        let kept = Proxy::to_file(proxy.as_ref());
        assert!(Proxy::from_file(&kept).is_ok_and(|again| again == proxy));
    }
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let _ = State::from_json(&value, 1, None).map(|_| ());
    let _ = Proxy::from_body(value.clone(), None).map(|_| ());
    let Ok(fields) = Fields::of(&value) else { return };
    let _ = (fields.object("clock", Clock::read), fields.object("log", Head::read));
}
