//! Computes the worked examples of the specification, with a second implementation of HPKE.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, OpModeS, Serializable};
use serde_json::json;

use super::super::{AnswerKey, AnswerOpener, Sealed, base64url, device_bytes, info, open};
use super::request;
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::hex::{self, Digest, RequestId};
use crate::license::protocol::key::{KeyId, RequestKey, SigningKey};
use crate::license::protocol::message::{Answer, Kind, Mode, Op, Request, User};
use crate::license::protocol::token::{self, Type};

const PAPER: &str = include_str!("../../examples.md");

/// Nothing but one byte.
struct Fixed(u8);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

fn key(seed: &str) -> SigningKey {
    SigningKey::from_seed(&hex::decode(seed).unwrap().try_into().unwrap()).unwrap()
}

/// RFC 8032 section 7.1, TEST 1
fn device() -> SigningKey {
    key("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
}

/// RFC 8032 section 7.1, TEST 2
fn issuer() -> SigningKey {
    key("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
}

fn request_key() -> RequestKey {
    let mut secret = [0; 32];
    secret[0] = 9;
    RequestKey::from_secret(KeyId::parse("k1").unwrap(), &secret)
}

/// Lines of the paper, and the JSON texts that it wraps.
#[derive(Default)]
struct Facts {
    lines: Vec<String>,
    texts: Vec<String>,
}

impl Facts {
    fn line(&mut self, name: &str, value: &impl ToString) {
        self.lines.push(format!("{name:<18} {}", value.to_string()));
    }

    fn long(&mut self, name: &str, bytes: &[u8]) {
        let (first, last) = (hex::encode(&bytes[..8]), hex::encode(&bytes[bytes.len() - 16..]));
        self.line(name, &format!("{} bytes: {first} … {last}", bytes.len()));
        self.line(&format!("SHA-256({name})"), &Digest::of(bytes));
    }

    /// Seals the request; returns the HTTP body.
    fn request(&mut self, request: &Request) -> (Sealed, Vec<u8>) {
        let body = request.to_json(&device().public(), &base64url(&[0; 32])).to_string();
        let signature = base64url(&device().sign(&device_bytes(&body)));
        let mut plain = json!({"b": body, "s": signature}).to_string().into_bytes();
        plain.resize(plain.len().next_multiple_of(256), b' ');
        let public = request_key().public().unwrap();
        let public =
            <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&public.public).unwrap();
        let (enc, ct) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            &info(&request_key().kid),
            &plain,
            b"",
            &mut Fixed(1),
        )
        .unwrap();
        let enc = enc.to_bytes().as_slice().try_into().unwrap();
        let sealed = Sealed { kid: request_key().kid, enc, ct };
        let sent = sealed.to_body();
        assert_eq!(open(&sent, &[request_key()]).unwrap().request, *request);
        self.line("SHA-256(BODY)", &Digest::of(body.as_bytes()));
        self.texts.push(body);
        self.line("s", &signature);
        self.line("plaintext", &format!("{} bytes", plain.len()));
        self.line("enc", &hex::encode(&enc));
        self.long("ct", &sealed.ct);
        self.line("HTTP body", &format!("{} bytes", sent.len()));
        self.line("SHA-256(HTTP body)", &Digest::of(&sent));
        (sealed, sent)
    }

    /// Seals the answer to the request in the HTTP body `asked`.
    fn answer(&mut self, answer: &Answer, asked: &[u8]) {
        let text = answer.to_json().to_string();
        let bound = [b"appliance-license/1 response\0", &Digest::of(asked).0[..]].concat();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[0; 32]).unwrap());
        let mut sealed = text.clone().into_bytes();
        let nonce = Nonce::assume_unique_for_key([2; 12]);
        key.seal_in_place_append_tag(nonce, Aad::from(bound), &mut sealed).unwrap();
        let ct = [&[2; 12], &sealed[..]].concat();
        let body = json!({"v": 1, "ct": base64url(&ct)}).to_string();
        let answer_key = AnswerKey { key: [0; 32].into(), body: Digest::of(asked) };
        let opener = AnswerOpener { answer_key, req_id: answer.req_id };
        assert_eq!(opener.open(body.as_bytes()).as_ref(), Ok(answer));
        self.line("SHA-256(ANSWER)", &Digest::of(text.as_bytes()));
        self.texts.push(text);
        self.long("ct", &ct);
        self.line("HTTP body", &format!("{} bytes", body.len()));
        self.line("SHA-256(HTTP body)", &Digest::of(body.as_bytes()));
    }
}

fn lease(request: &Request) -> Lease {
    Lease {
        license: request.license.clone(),
        customer_id: 4949,
        product: request.product.clone(),
        computer_id: request.computer_id.clone(),
        device: device().public().fingerprint(),
        req_id: request.req_id,
        epoch: 1,
        seq: 1,
        granted: 3_600,
        allocated: 1_800_000,
        pool_left: 1_796_400,
        cache: 3_600,
        kind: 6,
        features: Vec::new(),
        exp: 1_823_862_397,
        grace: 604_800,
        lease_exp: 1_766_302_001,
        iat: 1_763_710_001,
        offline_mode: false,
        offline_secs: 0,
        offline_until: 0,
        bundle: None,
    }
}

#[test]
fn every_constant_of_the_worked_examples_is_right() {
    let mut facts = Facts::default();
    facts.line("k1 public", &hex::encode(&request_key().public().unwrap().public));
    facts.line("device public", &hex::encode(&device().public().0));
    facts.line("fingerprint", &device().public().fingerprint());
    facts.line("i1 public", &hex::encode(&issuer().public().0));

    let user = User { username: "Amy Liu".to_owned(), ..User::default() };
    let activate = Request {
        req_id: RequestId([6; 16]),
        epoch: 0,
        seq: 0,
        prev: Digest::NONE,
        consumed: 0,
        granted: 0,
        user,
        ..request(Op::Activate)
    };
    let (_, asked) = facts.request(&activate);
    let payload = lease(&activate).to_json();
    let token = token::sign(Type::Lease, &KeyId::parse("i1").unwrap(), &payload, &issuer());
    facts.texts.push(payload.to_string());
    facts.line(
        "token",
        &format!("{} bytes: {} … {}", token.len(), &token[..16], &token[token.len() - 32..]),
    );
    facts.line("SHA-256(token)", &Digest::of(token.as_bytes()));
    let prev = Digest::of(token.as_bytes());
    let plain = Answer::plain(activate.req_id, 1_763_710_001, Kind::Lease);
    facts.answer(&Answer { token: Some(token.clone()), ..plain }, &asked);
    // The paper names the token instead of repeating it.
    let text = facts.texts.pop().unwrap().replace(&token, "TOKEN");
    facts.texts.push(text);

    let sync =
        Request { epoch: 1, seq: 1, prev, consumed: 30, granted: 3_600, ..request(Op::Sync) };
    facts.request(&sync);

    let offline = Request { mode: Mode::Offline, want: 2_147_483_647, ..activate };
    let (sealed, _) = facts.request(&offline);
    let body = facts.texts.pop().unwrap();
    let printed =
        body.replace(r#""want":2147483647,"mode":"offline""#, r#""want":3600,"mode":"online""#);
    assert_eq!(printed, facts.texts[0]);
    let certificate = Certificate::Activation(sealed).write().unwrap();
    let (first, last) = (&certificate[..20], &certificate[certificate.len() - 8..]);
    facts.line("certificate", &format!("{} digits: {first} … {last}", certificate.len()));
    let license = Certificate::License("i1.e30.e30".to_owned()).write().unwrap();
    facts.line("i1.e30.e30", &license);

    let printed: Vec<&str> = PAPER
        .split("```")
        .skip(1)
        .step_by(2)
        .flat_map(|block| block.lines().skip(1))
        .filter(|line| !line.is_empty() && !line.starts_with(['{', '"']))
        .collect();
    assert_eq!(printed, facts.lines, "{}", facts.lines.join("\n"));
    let joined = PAPER.replace('\n', "");
    for text in facts.texts {
        assert!(joined.contains(&text), "{text}");
    }
}
