#![allow(clippy::unwrap_used, clippy::panic)]

use super::{Error, Identity, Outcome, on_answer, on_certificate};
use crate::license::protocol::claims::{Lease, Receipt};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::key::{KeyId, RequestKey, SigningKey};
use crate::license::protocol::message::{
    Answer, Denial, Kind, Mode, Op, ReportedClock, Request, User,
};
use crate::license::protocol::token::{Type, sign};
use crate::license::protocol::trust::{Bundle, Dated, Trust, trust_file};
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::{Grant, PendingActivation, State};
use crate::license::state::sessions::Totals;

const NOW: i64 = 1_763_726_400;
const CODE: &str = "494953679762904933";
const COMPUTER: &str = "bc8e7e32-7cc6-8292-83e5-555c726ae8d8";

/// Keys of an authority, and an appliance that trusts them.
struct Fixture {
    issuer: SigningKey,
    trust: Trust,
    device: Digest,
}

fn kid(name: &str) -> KeyId {
    KeyId::parse(name).unwrap()
}

impl Fixture {
    fn new() -> Fixture {
        let (root, issuer) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let requests = RequestKey::generate(kid("k1")).unwrap();
        let year = 365 * 86_400;
        let (nbf, exp) = (NOW - year, NOW + year);
        let bundle = Bundle {
            seq: 1,
            exp,
            issuers: vec![
                (kid("i1"), Dated { key: issuer.public(), nbf, exp }),
                (kid("i2"), Dated { key: issuer.public(), nbf, exp: NOW }),
                (kid("i3"), Dated { key: issuer.public(), nbf, exp }),
            ],
            request_keys: vec![Dated { key: requests.public().unwrap(), nbf, exp }],
            revoked: vec![kid("i3")],
        };
        let bundle = bundle.sign(&kid("r1"), &root);
        let trust = Trust::parse(trust_file(&[(kid("r1"), root.public())], &bundle).as_bytes());
        Fixture { issuer, trust: trust.unwrap(), device: Digest::of(b"device") }
    }

    fn lease(&self) -> Lease {
        Lease {
            license: CODE.to_owned(),
            customer_id: 4949,
            product: "103".to_owned(),
            computer_id: COMPUTER.to_owned(),
            device: self.device,
            req_id: RequestId([1; 16]),
            epoch: 1,
            seq: 1,
            granted: 3_600,
            allocated: 1_800_000,
            pool_left: 1_000_000,
            cache: 3_600,
            kind: 6,
            features: Vec::new(),
            exp: NOW + 1_000_000,
            grace: 0,
            lease_exp: NOW + 1_000_000,
            iat: NOW,
            offline_mode: true,
            offline_secs: 180_000,
            offline_until: NOW + 1_000_000,
            bundle: None,
        }
    }

    fn answer(&self, kind: Kind, token: Option<String>) -> Answer {
        Answer { token, ..Answer::plain(RequestId([1; 16]), NOW, kind) }
    }

    fn granting(&self, lease: &Lease) -> Answer {
        self.answer(Kind::Lease, Some(self.sign(Type::Lease, "i1", lease)))
    }

    fn sign(&self, kind: Type, kid_name: &str, lease: &Lease) -> String {
        sign(kind, &kid(kid_name), &lease.to_json(), &self.issuer)
    }

    fn hear(&self, state: &State, op: Op, answer: &Answer) -> Result<(State, Outcome), Error> {
        let who = Identity { computer_id: COMPUTER, device: self.device };
        on_answer(state, &request(op), answer, who, &self.trust, reading().boot, &reading())
    }

    fn online(&self) -> State {
        let state = State { phase: Phase::Activating, ..State::default() };
        self.hear(&state, Op::Activate, &self.granting(&self.lease())).unwrap().0
    }
}

fn reading() -> ClockReading {
    ClockReading { wall: NOW, boot: 100, boot_id: "boot".to_owned() }
}

fn request(op: Op) -> Request {
    Request {
        op,
        req_id: RequestId([1; 16]),
        ts: NOW,
        license: CODE.to_owned(),
        product: "103".to_owned(),
        version: "1".to_owned(),
        computer_id: COMPUTER.to_owned(),
        prev_computer_id: None,
        epoch: 0,
        seq: 0,
        prev: Digest::NONE,
        consumed: 0,
        granted: 0,
        want: 1,
        mode: Mode::Online,
        log_head: Digest::NONE,
        clock: ReportedClock { wall: NOW, regressions: 0 },
        bundle_seq: 1,
        instead_of: None,
        user: User::default(),
    }
}

#[test]
fn an_activation_begins_an_epoch_with_nothing_used() {
    let fixture = Fixture::new();
    let before = State {
        phase: Phase::Activating,
        pending: Some(request(Op::Activate)),
        totals: Totals { granted: 9, consumed: 5, held: 1 },
        ..State::default()
    };
    let (state, outcome) =
        fixture.hear(&before, Op::Activate, &fixture.granting(&fixture.lease())).unwrap();
    assert_eq!((state.phase, outcome), (Phase::Online, Outcome::Granted));
    assert_eq!(state.totals, Totals { granted: 3_600, consumed: 0, held: 0 });
    assert!(state.pending.is_none() && state.grant.is_some());
    assert_eq!((state.epoch, state.last_contact), (1, NOW));
}

#[test]
fn an_activation_makes_the_waiting_certificate_of_the_same_license_useless() {
    let fixture = Fixture::new();
    let waiting = |code: &str| {
        let request = Request { license: code.to_owned(), ..request(Op::Activate) };
        Some(PendingActivation { request, certificate: String::new() })
    };
    for (code, stays) in [(CODE, false), ("494953679762904934", true)] {
        let phase = Phase::Activating;
        let before = State { phase, pending_activation: waiting(code), ..State::default() };
        let granting = fixture.granting(&fixture.lease());
        let (state, _) = fixture.hear(&before, Op::Activate, &granting).unwrap();
        assert_eq!(state.pending_activation.is_some(), stays, "{code}");
    }
}

#[test]
fn more_seconds_leave_what_was_used_and_a_reset_begins_anew() {
    let fixture = Fixture::new();
    let totals = Totals { granted: 3_600, consumed: 100, held: 30 };
    let state = State { totals, ..fixture.online() };
    let more = Lease { granted: 3_700, seq: 2, ..fixture.lease() };
    let (synced, _) = fixture.hear(&state, Op::Sync, &fixture.granting(&more)).unwrap();
    assert_eq!(synced.totals, Totals { granted: 3_700, ..totals });
    let fresh = Lease { granted: 60, seq: 1, epoch: 2, ..fixture.lease() };
    let reset = fixture.answer(Kind::Reset, Some(fixture.sign(Type::Lease, "i1", &fresh)));
    let (state, _) = fixture.hear(&state, Op::Sync, &reset).unwrap();
    assert_eq!(state.totals, Totals { granted: 60, consumed: 0, held: 0 });
    assert_eq!(state.epoch, 2);
}

#[test]
fn a_token_for_another_recipient_changes_nothing() {
    let fixture = Fixture::new();
    let lease = fixture.lease();
    let state = fixture.online();
    for (changed, words) in [
        (Lease { license: "494953679762904934".to_owned(), ..lease.clone() }, "another license"),
        (Lease { computer_id: COMPUTER.replace('b', "c"), ..lease.clone() }, "another computer"),
        (Lease { device: Digest::of(b"other"), ..lease.clone() }, "another device"),
        (Lease { req_id: RequestId([2; 16]), ..lease.clone() }, "another request"),
    ] {
        let refused =
            fixture.hear(&state, Op::Sync, &fixture.granting(&changed)).unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let none =
        fixture.hear(&state, Op::Sync, &fixture.answer(Kind::Lease, None)).unwrap_err().to_string();
    assert_eq!(none, "it contains no token");
}

#[test]
fn a_token_of_another_type_or_of_a_key_that_does_not_count_is_refused() {
    let fixture = Fixture::new();
    let (state, lease) = (fixture.online(), fixture.lease());
    let other_type = fixture.sign(Type::LicenseCertificate, "i1", &lease);
    let mut texts = Vec::new();
    for token in [
        other_type,
        fixture.sign(Type::Lease, "i9", &lease),
        fixture.sign(Type::Lease, "i3", &lease),
        fixture.sign(Type::Lease, "i2", &lease),
    ] {
        let answer = fixture.answer(Kind::Lease, Some(token));
        texts.push(fixture.hear(&state, Op::Sync, &answer).unwrap_err().to_string());
    }
    for (text, words) in
        texts.iter().zip(["not genuine", "does not know", "withdrawn", "was valid until"])
    {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn giving_back_ends_in_nothing_with_a_receipt_alone() {
    let fixture = Fixture::new();
    let state = State { phase: Phase::Returning, ..fixture.online() };
    let receipt = Receipt {
        license: CODE.to_owned(),
        computer_id: COMPUTER.to_owned(),
        device: fixture.device,
        req_id: RequestId([1; 16]),
        epoch: 1,
        returned: 60_780,
        iat: NOW,
    };
    let token = |receipt: &Receipt| {
        sign(Type::ReturnReceipt, &kid("i1"), &serde_json::json!(receipt), &fixture.issuer)
    };
    let good = fixture.answer(Kind::Returned, Some(token(&receipt)));
    let (after, outcome) = fixture.hear(&state, Op::Return, &good).unwrap();
    assert_eq!(outcome, Outcome::Returned(60_780));
    assert_eq!((after.phase, after.grant, after.epoch), (Phase::Unlicensed, None, 1));
    assert_eq!(after.totals, Totals::default());
    let other = Receipt { req_id: RequestId([9; 16]), ..receipt };
    let bad = fixture.answer(Kind::Returned, Some(token(&other)));
    assert!(fixture.hear(&state, Op::Return, &bad).is_err());
}

#[test]
fn each_refusal_leads_where_the_table_says() {
    let fixture = Fixture::new();
    let online = fixture.online();
    let activating = State { phase: Phase::Activating, ..State::default() };
    let returning = State { phase: Phase::Returning, ..online.clone() };
    let suspended = State { phase: Phase::Refused(-114), ..online.clone() };
    for (state, op, denial, phase) in [
        (&activating, Op::Activate, Denial::UnknownLicense, Phase::Unlicensed),
        (&activating, Op::Activate, Denial::ActivationsExceeded, Phase::Unlicensed),
        (&suspended, Op::Activate, Denial::Suspended, Phase::Refused(-114)),
        (&online, Op::Sync, Denial::Suspended, Phase::Refused(-114)),
        (&online, Op::Sync, Denial::Revoked, Phase::Refused(-114)),
        (&online, Op::Sync, Denial::UnknownLicense, Phase::Online),
        (&suspended, Op::Sync, Denial::UnknownLicense, Phase::Refused(-114)),
        (&online, Op::Sync, Denial::Expired, Phase::Refused(-116)),
        (&online, Op::Sync, Denial::Duplicate, Phase::Refused(-117)),
        (&online, Op::Sync, Denial::OfflineNotAllowed, Phase::Online),
        (&online, Op::Sync, Denial::TooManyTries, Phase::Online),
        (&returning, Op::Return, Denial::Duplicate, Phase::Refused(-117)),
        (&returning, Op::Return, Denial::OfflineNotAllowed, Phase::Online),
    ] {
        let answer = Answer::denied(RequestId([1; 16]), NOW, denial);
        let (after, outcome) = fixture.hear(state, op, &answer).unwrap();
        assert_eq!(after.phase, phase, "{op:?} {denial:?}");
        assert!(after.pending.is_none());
        let Outcome::Denied { reason, code, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((reason, code), (denial.name(), denial.code()));
    }
    let busy = Answer::denied(RequestId([1; 16]), NOW, Denial::Unavailable);
    assert!(fixture.hear(&online, Op::Sync, &busy).is_err(), "asked again later, and nothing lost");
}

#[test]
fn a_license_that_its_authority_does_not_know_stays_and_can_be_dropped() {
    let fixture = Fixture::new();
    let denied = |denial| Answer::denied(RequestId([1; 16]), NOW, denial);
    let (unknown, _) =
        fixture.hear(&fixture.online(), Op::Sync, &denied(Denial::UnknownLicense)).unwrap();
    assert!(unknown.is_unknown && unknown.grant == fixture.online().grant);
    let (limited, _) = fixture.hear(&unknown, Op::Sync, &denied(Denial::TooManyTries)).unwrap();
    assert!(limited.is_unknown, "asked too often, it is not looked up");
    let (known, _) = fixture.hear(&unknown, Op::Sync, &fixture.granting(&fixture.lease())).unwrap();
    assert!(!known.is_unknown);
    let returning = State { phase: Phase::Returning, ..unknown };
    let (gone, outcome) =
        fixture.hear(&returning, Op::Return, &denied(Denial::UnknownLicense)).unwrap();
    assert_eq!((gone.phase, gone.grant, gone.is_unknown), (Phase::Unlicensed, None, false));
    assert_eq!(outcome, Outcome::Returned(0));
}

#[test]
fn a_suspended_license_comes_back_with_the_next_grant() {
    let fixture = Fixture::new();
    let suspended = State { phase: Phase::Refused(-114), ..fixture.online() };
    let (after, _) =
        fixture.hear(&suspended, Op::Sync, &fixture.granting(&fixture.lease())).unwrap();
    assert_eq!(after.phase, Phase::Online);
}

#[test]
fn a_renewed_certificate_keeps_what_was_used_in_its_epoch() {
    let fixture = Fixture::new();
    let grant = |granted: i64, epoch: i64| Grant {
        kind: Type::LicenseCertificate,
        token: granted.to_string(),
        lease: Lease { granted, epoch, ..fixture.lease() },
    };
    let first = on_certificate(&State::default(), grant(180_000, 1), &reading());
    assert_eq!(first.phase, Phase::OfflineCertificate);
    let used = State { totals: Totals { consumed: 100, ..first.totals }, ..first };
    let renewed = on_certificate(&used, grant(200_000, 1), &reading());
    assert_eq!(renewed.totals, Totals { granted: 200_000, consumed: 100, held: 0 });
    let recover = on_certificate(&used, grant(50, 2), &reading());
    assert_eq!(recover.totals, Totals { granted: 50, consumed: 0, held: 0 });
}

#[test]
fn a_machine_set_back_to_an_open_request_drops_it_and_sends_a_new_one() {
    let fixture = Fixture::new();
    let stale = fixture.answer(Kind::Stale, None);
    for (before, after) in [
        (Phase::Online, Phase::Online),
        (Phase::Activating, Phase::Unlicensed),
        (Phase::Returning, Phase::Unlicensed),
        (Phase::Refused(-114), Phase::Refused(-117)),
    ] {
        let pending = Some(request(Op::Sync));
        let state = State { phase: before, pending, ..fixture.online() };
        let (next, outcome) = fixture.hear(&state, Op::Sync, &stale).unwrap();
        assert_eq!((outcome, next.phase, next.pending), (Outcome::Stale, after, None));
    }
}
