//! The vendor's side of a trace: keys, one license, and the authority's own accounting.

use serde_json::Value;

use super::{ALLOCATED, CACHE, CODE, NOW, SEATS};
use crate::authority::accounting::{Context, process};
use crate::authority::accounts::Accounts;
use crate::authority::idle_seats::IdleSeats;
use crate::authority::license::{License, Terms};
use crate::license::protocol::hex::Digest;
use crate::license::protocol::key::{KeyId, RequestKey, SigningKey};
use crate::license::protocol::message::{Answer, Request};
use crate::license::protocol::token;
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::{Bundle, Dated, Trust, trust_file};
use crate::license::protocol::wire;

/// The vendor's keys and accounts.
pub(crate) struct Vendor {
    issuer: SigningKey,
    /// The newer one first.
    requests: Vec<RequestKey>,
    pub(crate) trust: Trust,
    pub(crate) accounts: Accounts,
    /// The time of its clock.
    pub(crate) now: i64,
}

impl Vendor {
    pub(crate) fn new() -> Vendor {
        let (nbf, exp) = (0, NOW * 2);
        let kid = |name| KeyId::parse(name).unwrap();
        let (root, issuer) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let requests: Vec<RequestKey> =
            ["k2", "k1"].map(|name| RequestKey::generate(kid(name)).unwrap()).into();
        let public = |key: &RequestKey| Dated { key: key.public().unwrap(), nbf, exp };
        let bundle = Bundle {
            seq: 1,
            exp,
            issuers: vec![(kid("i1"), Dated { key: issuer.public(), nbf, exp })],
            request_keys: requests.iter().rev().map(public).collect(),
            revoked: Vec::new(),
        };
        let file = trust_file(&[(kid("r1"), root.public())], &bundle.sign(&kid("r1"), &root));
        let trust = Trust::parse(file.as_bytes()).unwrap();
        Vendor { issuer, requests, trust, accounts: accounts(), now: NOW }
    }

    pub(crate) fn reset(&mut self) {
        self.accounts = accounts();
        self.now = NOW;
    }

    pub(crate) fn answer(&mut self, device: Digest, request: &Request) -> Answer {
        self.answer_by(device, request, false)
    }

    /// Answers a request that may have come in a certificate.
    pub(crate) fn answer_by(
        &mut self,
        device: Digest,
        request: &Request,
        by_certificate: bool,
    ) -> Answer {
        let kid = KeyId::parse("i1").unwrap();
        let sign = |kind: Type, payload: &Value| token::sign(kind, &kid, payload, &self.issuer);
        let context = Context {
            request,
            device,
            by_certificate,
            rate_limited: false,
            now: self.now,
            bundle: None,
            revoked: &[],
            idle: IdleSeats::default(),
        };
        let answer = process(&mut self.accounts, &context, &sign).answer;
        assert!(self.accounts.is_whole(), "the accounts don't add up");
        answer
    }
}

impl Vendor {
    /// The sealed answer to a posted request.
    pub(crate) fn posted(&mut self, body: &[u8]) -> Vec<u8> {
        let opened = wire::open(body, &self.requests).unwrap();
        let answer = self.answer(opened.device.fingerprint(), &opened.request);
        opened.reply.seal(&answer).unwrap()
    }
}

fn accounts() -> Accounts {
    Accounts::new(License::new(terms(), ALLOCATED))
}

fn terms() -> Terms {
    Terms {
        code: CODE.to_owned(),
        product: "103".to_owned(),
        kind: 6,
        seats: i64::try_from(SEATS).unwrap(),
        cache: CACHE,
        exp: NOW * 2,
        grace: 0,
        lease: 1_000_000,
        offline: true,
        offline_secs: 500,
        created: 0,
    }
}
