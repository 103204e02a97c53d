//! A model test: random traces of use, lost, duplicated and replayed messages, crashes and copies run the
//! appliance's state transitions against the authority's accounting. No second is lost or created.

#![allow(clippy::unwrap_used)]

mod vendor;

pub(crate) use vendor::Vendor;

use crate::license::client::request_context::RequestContext;
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, Kind, Mode, Op, Request};
use crate::license::protocol::trust::Trust;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use crate::license::state::sessions::{Reserve, Sessions, Update};
use crate::license::state::transition::{Identity, on_answer};

pub(crate) const NOW: i64 = 1_763_726_400;
pub(crate) const CODE: &str = "494953679762904933";
const ALLOCATED: i64 = 2_000;
const CACHE: i64 = 120;
const SEATS: usize = 2;
const YEAR: i64 = 365 * 86_400;

/// Traces of each kind unless `LICENSE_TRACES` gives another number; real signatures make them slow.
const TRACES: u64 = 2_000;
const STEPS: usize = 120;

/// Pseudo-random numbers (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn id(&mut self) -> RequestId {
        let mut id = [0; 16];
        id.fill_with(|| u8::try_from(self.below(256)).unwrap());
        RequestId(id)
    }
}

/// An appliance: its state on disk, its sessions, and the seconds charged to them.
struct Machine {
    device: Digest,
    computer_id: String,
    state: State,
    sessions: Sessions,
    charged: u64,
}

impl Machine {
    fn new(number: u8) -> Machine {
        Machine {
            device: Digest([number; 32]),
            computer_id: format!("00000000-0000-8000-8000-0000000000{number:02x}"),
            state: State::default(),
            sessions: Sessions::default(),
            charged: 0,
        }
    }

    fn epoch(&self) -> u64 {
        self.state.epoch.unsigned_abs()
    }

    /// One call of the speech engine.
    fn work(&mut self, chance: &mut Chance) {
        if self.state.phase != Phase::Online {
            return;
        }
        let (totals, epoch) = (self.state.totals, self.epoch());
        let session = chance.below(3).to_string();
        match chance.below(5) {
            0 | 1 => {
                let request =
                    Reserve { session: &session, seconds: 1 + chance.below(30), seq: None };
                if let Ok(next) = self.sessions.reserve(totals, epoch, request) {
                    self.take(&next);
                }
            }
            2 => {
                let next = self.sessions.charge_interim(totals, epoch);
                self.take(&next);
            }
            _ => {
                let next = self.sessions.settle(totals, epoch, &session, chance.below(60));
                self.take(&next);
            }
        }
    }

    fn take(&mut self, next: &Update) {
        self.charged += next.totals.consumed - self.state.totals.consumed;
        self.sessions.apply(next, 0);
        self.state.totals = next.totals;
    }

    /// Counts reserved seconds as used, as at a crash or before a return.
    fn charge_held(&mut self) {
        self.charged += self.state.totals.held;
        self.state.totals = self.state.totals.charge_held();
        self.sessions = Sessions::default();
    }

    /// The next request, saved before it is sent; it stays the same until it is answered.
    fn ask(&mut self, give_back: bool, chance: &mut Chance) -> Request {
        if let Some(pending) = &self.state.pending {
            return pending.clone();
        }
        let op = match self.state.phase {
            Phase::Online if give_back => {
                self.charge_held();
                self.state.phase = Phase::Returning;
                Op::Return
            }
            Phase::Online => Op::Sync,
            Phase::Refused(_) => Op::Activate,
            _ => {
                self.state.phase = Phase::Activating;
                Op::Activate
            }
        };
        let request = self.request(op, chance);
        self.state.pending = Some(request.clone());
        request
    }

    fn request(&self, op: Op, chance: &mut Chance) -> Request {
        let context = RequestContext {
            product: "103",
            version: "1",
            computer_id: &self.computer_id,
            bundle_seq: 1,
            wall: NOW,
        };
        context.request(chance.id(), op, CODE, Mode::Online, &self.state)
    }

    /// A probe, which needs no license.
    fn probe(&mut self, chance: &mut Chance, trust: &Trust) {
        let request = self.request(Op::Probe, chance);
        let answer = Answer::plain(request.req_id, NOW, Kind::Probe);
        let who = Identity { computer_id: &self.computer_id, device: self.device };
        self.state =
            on_answer(&self.state, &request, &answer, who, trust, 1, &reading()).unwrap().0;
    }

    fn hear(&mut self, request: &Request, answer: &Answer, trust: &Trust) {
        if self.state.pending.as_ref() != Some(request) {
            return; // not the pending request: the seal would not open
        }
        let who = Identity { computer_id: &self.computer_id, device: self.device };
        let before = self.state.totals;
        let (next, _) = on_answer(&self.state, request, answer, who, trust, 1, &reading()).unwrap();
        if next.epoch != self.state.epoch || next.grant.is_none() {
            // The authority charges the epoch that ended as a whole.
            self.charged -= before.consumed;
            self.charged += if request.op == Op::Return { before.consumed } else { before.granted };
        }
        self.state = next;
    }
}

fn reading() -> ClockReading {
    ClockReading { wall: NOW, boot: 1, boot_id: String::new() }
}

/// The authority's clock, which is sometimes wrong.
fn told(chance: &mut Chance) -> i64 {
    match chance.below(20) {
        0 => NOW - YEAR + i64::try_from(chance.below(2 * YEAR.unsigned_abs())).unwrap(),
        _ => NOW,
    }
}

fn run(vendor: &mut Vendor, seed: u64, copies: bool) -> (Vec<Machine>, usize) {
    let mut chance = Chance(seed);
    vendor.reset();
    let mut machines: Vec<Machine> = (1..=2).map(Machine::new).collect();
    let (mut captured, mut copied): (Vec<(Digest, Request)>, usize) = (Vec::new(), 0);
    for _ in 0..STEPS {
        let at = usize::try_from(chance.below(machines.len() as u64)).unwrap();
        match chance.below(100) {
            0..45 => machines[at].work(&mut chance),
            45..85 => {
                let give_back = chance.below(7) == 0;
                let is_new = machines[at].state.pending.is_none();
                let request = machines[at].ask(give_back, &mut chance);
                let weather = chance.below(100);
                if weather < 15 {
                    continue; // the request was lost
                }
                let device = machines[at].device;
                if is_new && request.op == Op::Sync && chance.below(20) == 0 {
                    // A standby has taken over that lacks the newest licenses.
                    let answer = Answer::denied(request.req_id, NOW, Denial::UnknownLicense);
                    let grant = machines[at].state.grant.clone();
                    machines[at].hear(&request, &answer, &vendor.trust);
                    let state = &machines[at].state;
                    assert_eq!(
                        (&state.phase, &state.grant),
                        (&Phase::Online, &grant),
                        "seed {seed}"
                    );
                    continue;
                }
                vendor.now = told(&mut chance);
                let answer = vendor.answer(device, &request);
                captured.push((device, request.clone()));
                if weather < 25 {
                    vendor.answer(device, &request); // duplicated in transit
                }
                if weather >= 40 {
                    machines[at].hear(&request, &answer, &vendor.trust);
                } // else the answer was lost
            }
            85..92 => machines[at].charge_held(), // the power was cut
            92..97 if !captured.is_empty() => {
                let (device, old) =
                    &captured[usize::try_from(chance.below(captured.len() as u64)).unwrap()];
                let before = (vendor.accounts.license.used(), vendor.accounts.license.balance.left);
                vendor.answer(*device, old);
                assert_eq!(
                    before,
                    (vendor.accounts.license.used(), vendor.accounts.license.balance.left),
                    "a replay moved seconds"
                );
            }
            97.. if copies => {
                copied += 1;
                let (device, state) = (machines[at].device, machines[at].state.clone());
                let computer_id = machines[at].computer_id.clone();
                machines.push(Machine {
                    device,
                    computer_id,
                    state,
                    sessions: Sessions::default(),
                    charged: 0,
                });
            }
            _ => {}
        }
    }
    (machines, copied)
}

/// Returns all licenses.
fn drain(vendor: &mut Vendor, machines: &mut [Machine], chance: &mut Chance) {
    vendor.now = NOW;
    for machine in machines {
        for _ in 0..6 {
            if machine.state.phase == Phase::Unlicensed && machine.state.pending.is_none() {
                break;
            }
            let request = machine.ask(true, chance);
            let answer = vendor.answer(machine.device, &request);
            machine.hear(&request, &answer, &vendor.trust);
        }
        machine.probe(chance, &vendor.trust);
    }
}

fn traces() -> u64 {
    std::env::var("LICENSE_TRACES").map_or(TRACES, |number| number.parse().unwrap())
}

#[test]
fn whatever_the_network_and_the_power_do_the_accounts_are_exact() {
    let mut vendor = Vendor::new();
    for seed in 0..traces() {
        let (mut machines, _) = run(&mut vendor, seed, false);
        // With another seed than the trace, or an id might repeat.
        drain(&mut vendor, &mut machines, &mut Chance(!seed));
        // One answer with a correct clock corrects all wrong ones.
        let late = machines.iter().map(|machine| machine.state.clock.at(&reading()) - NOW);
        assert!(late.max().unwrap() <= 2, "seed {seed}");
        let charged: u64 = machines.iter().map(|machine| machine.charged).sum();
        assert_eq!(vendor.accounts.open_seats().count(), 0, "seed {seed}");
        assert_eq!(vendor.accounts.license.used(), i64::try_from(charged).unwrap(), "seed {seed}");
        assert_eq!(
            vendor.accounts.license.balance.left,
            ALLOCATED - vendor.accounts.license.used(),
            "seed {seed}"
        );
        assert!(vendor.accounts.license.sums.takeovers == 0, "seed {seed}: taken for a copy");
    }
}

#[test]
fn copies_cost_the_vendor_at_most_what_each_had_cached() {
    let mut vendor = Vendor::new();
    let mut total = 0;
    for seed in 0..traces() {
        let (machines, copied) = run(&mut vendor, seed, true);
        total += copied;
        let consumed: u64 = machines.iter().map(|machine| machine.state.totals.consumed).sum();
        let most = ALLOCATED + CACHE * i64::try_from(copied).unwrap();
        assert!(i64::try_from(consumed).unwrap() <= most, "seed {seed}");
    }
    assert!(total > 100, "{total} copies were tried");
}
