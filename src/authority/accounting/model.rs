//! Random traces of lost, doubled and replayed messages, of clones and restored snapshots, against the
//! real accounting: no second is lost or made, whatever the network does.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use serde_json::Value;

use super::{Context, Outcome};
use crate::authority::accounts::Accounts;
use crate::authority::idle_seats::IdleSeats;
use crate::authority::license::{DAY, License, Terms};
use crate::license::protocol::claims::{Lease, Receipt};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Kind, Mode, Op, ReportedClock, Request, User};
use crate::license::protocol::token::Type;

mod books;

use books::Books;
pub(in crate::authority) use books::{store_traces, traces_in};

/// Seconds of the license under test, and those of a cached lease.
const ALLOCATED: i64 = 1_000;
const CACHE: i64 = 60;
const SEATS: i64 = 3;

/// A small generator whose numbers a seed repeats (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `most` - 1.
    pub(super) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn percent(&mut self) -> usize {
        self.below(100)
    }

    pub(super) fn id(&mut self) -> RequestId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_le_bytes());
        id[8..].copy_from_slice(&self.next().to_le_bytes());
        RequestId(id)
    }
}

pub(in crate::authority) fn terms() -> Terms {
    Terms {
        code: "494953679762904933".to_owned(),
        product: "103".to_owned(),
        kind: 6,
        seats: SEATS,
        cache: CACHE,
        exp: 10_000 * DAY,
        grace: 7 * DAY,
        lease: 30 * DAY,
        offline: true,
        offline_secs: 500,
        created: 0,
    }
}

/// Stands in for the signature, which the accounting never looks at.
pub(super) fn sign(kind: Type, payload: &Value) -> String {
    format!("{}|{payload}", kind.name())
}

fn payload(token: &str) -> Value {
    serde_json::from_str(token.split_once('|').unwrap().1).unwrap()
}

/// An appliance as its protocol needs it: what is on its disk, and how much it really used.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) device: Digest,
    pub(super) computer_id: String,
    pub(super) licensed: bool,
    returning: bool,
    pub(super) epoch: i64,
    pub(super) seq: i64,
    pub(super) prev: Digest,
    pub(super) granted: i64,
    pub(super) consumed: i64,
    pending: Option<Request>,
    pub(super) used: i64,
}

impl Client {
    pub(super) fn new(number: u8) -> Client {
        Client {
            device: Digest([number; 32]),
            computer_id: format!("00000000-0000-0000-0000-0000000000{number:02x}"),
            licensed: false,
            returning: false,
            epoch: 0,
            seq: 0,
            prev: Digest::NONE,
            granted: 0,
            consumed: 0,
            pending: None,
            used: 0,
        }
    }

    pub(super) fn ask(&self, op: Op, id: RequestId) -> Request {
        Request {
            op,
            req_id: id,
            ts: 0,
            license: "494953679762904933".to_owned(),
            product: "103".to_owned(),
            version: "1".to_owned(),
            computer_id: self.computer_id.clone(),
            prev_computer_id: None,
            epoch: self.epoch,
            seq: self.seq,
            prev: self.prev,
            consumed: self.consumed,
            granted: self.granted,
            want: i64::from(i32::MAX),
            mode: Mode::Online,
            log_head: Digest::NONE,
            clock: ReportedClock { wall: 0, regressions: 0 },
            bundle_seq: 1,
            instead_of: None,
            user: User::default(),
        }
    }

    /// The next request, written to disk before it is sent; a retry is the same one.
    fn begin(&mut self, op: Op, chance: &mut Chance) -> Request {
        if self.pending.is_none() {
            self.pending = Some(self.ask(op, chance.id()));
            self.returning |= op == Op::Return;
        }
        self.pending.clone().unwrap()
    }

    pub(super) fn receive(&mut self, answer: &Answer) {
        let Some(pending) = &self.pending else { return };
        if pending.req_id != answer.req_id {
            return;
        }
        let op = pending.op;
        self.pending = None;
        self.take_in(op, answer);
    }

    pub(super) fn take_in(&mut self, op: Op, answer: &Answer) {
        let token = answer.token.as_deref();
        match answer.kind {
            Kind::Lease | Kind::Reset => {
                let lease = Lease::from_json(&payload(token.unwrap())).unwrap();
                if answer.kind == Kind::Reset || op == Op::Activate {
                    self.consumed = 0;
                }
                (self.licensed, self.returning) = (true, false);
                (self.epoch, self.seq) = (lease.epoch, lease.seq);
                (self.granted, self.prev) = (lease.granted, Digest::of(token.unwrap().as_bytes()));
            }
            Kind::Returned => {
                let receipt = Receipt::from_json(&payload(token.unwrap())).unwrap();
                self.unlicensed();
                self.epoch = receipt.epoch;
            }
            Kind::Denied | Kind::Stale => self.unlicensed(),
            Kind::Probe => {}
        }
    }

    fn unlicensed(&mut self) {
        (self.licensed, self.returning) = (false, false);
        (self.seq, self.granted, self.consumed, self.prev) = (0, 0, 0, Digest::NONE);
    }

    fn spend(&mut self, seconds: i64) {
        if self.licensed && !self.returning {
            let seconds = seconds.min(self.granted - self.consumed);
            self.consumed += seconds;
            self.used += seconds;
        }
    }

    fn next_op(&self, chance: &mut Chance) -> Op {
        match (self.licensed, self.returning) {
            (false, _) => Op::Activate,
            (true, true) => Op::Return,
            (true, false) if chance.percent() < 85 => Op::Sync,
            (true, false) => Op::Return,
        }
    }
}

/// The license and everything that was sent to it.
struct World {
    books: Books,
    now: i64,
    forks: usize,
    captured: Vec<(Digest, Request)>,
}

impl World {
    fn put(&mut self, device: Digest, request: &Request) -> Outcome {
        let context = Context {
            request,
            device,
            by_certificate: false,
            rate_limited: false,
            now: self.now,
            bundle: None,
            revoked: &[],
            idle: IdleSeats::default(),
        };
        let outcome = self.books.ask(&context);
        self.forks += usize::from(matches!(outcome.event, Some("reset" | "taken over")));
        outcome
    }

    /// Replays a captured request.
    fn replay(&mut self, chance: &mut Chance) {
        let (device, request) = self.captured[chance.below(self.captured.len())].clone();
        let before = (chance.below(32) == 0).then(|| self.books.all());
        assert_eq!(self.put(device, &request).event, None, "{request:?}");
        assert!(before.is_none_or(|before| before == self.books.all()), "{request:?}");
    }
}

struct End {
    accounts: Accounts,
    forks: usize,
    used: i64,
    clones: i64,
}

/// Most traces are short, since a fault shows early; every tenth is long enough to use all seconds up.
fn steps(seed: u64) -> usize {
    if seed.is_multiple_of(10) { 400 } else { 40 }
}

fn trace(seed: u64, evil: bool, books: Books) -> End {
    let mut chance = Chance::new(seed);
    let mut world = World { books, now: DAY, forks: 0, captured: Vec::new() };
    let mut clients: Vec<Client> = (1..=3).map(Client::new).collect();
    let mut snapshots: Vec<Client> = Vec::new();
    for _ in 0..steps(seed) {
        world.now += i64::try_from(chance.below(20_000)).unwrap();
        let at = chance.below(clients.len());
        match chance.percent() {
            0..35 => {
                let seconds = 1 + i64::try_from(chance.below(25)).unwrap();
                clients[at].spend(seconds);
            }
            35..85 => exchange(&mut world, &mut clients[at], &mut chance),
            85..92 if !world.captured.is_empty() => world.replay(&mut chance),
            92..96 if evil => snapshots.push(clients[at].clone()),
            96.. if evil && !snapshots.is_empty() => {
                let snapshot = snapshots[chance.below(snapshots.len())].clone();
                clients.push(Client { used: 0, ..snapshot });
            }
            _ => {}
        }
    }
    for client in &mut clients {
        for _ in 0..6 {
            if !client.licensed && client.pending.is_none() {
                break;
            }
            let request = client.begin(Op::Return, &mut chance);
            let answer = world.put(client.device, &request).answer;
            client.receive(&answer);
        }
    }
    let used = clients.iter().map(|client| client.used).sum();
    End {
        accounts: world.books.all(),
        forks: world.forks,
        used,
        clones: i64::try_from(clients.len()).unwrap() - 3,
    }
}

/// The license of a trace before it begins.
fn license() -> License {
    License::new(terms(), ALLOCATED)
}

fn values() -> Books {
    Books::Values(Box::new(Accounts::new(license())))
}

/// A license with a past: epochs, refusals, takeovers.
pub(in crate::authority) fn busy_accounts(seed: u64) -> Accounts {
    trace(seed, true, values()).accounts
}

/// One request on a network that loses requests, doubles them, and loses answers.
fn exchange(world: &mut World, client: &mut Client, chance: &mut Chance) {
    let op = client.next_op(chance);
    let request = client.begin(op, chance);
    let luck = chance.percent();
    if luck < 15 {
        return;
    }
    let answer = world.put(client.device, &request).answer;
    world.captured.push((client.device, request.clone()));
    if chance.percent() < 10 {
        assert_eq!(world.put(client.device, &request).answer, answer, "a double changes nothing");
    }
    if luck >= 35 {
        client.receive(&answer);
    }
}

/// Runs `check` on so many traces, on two threads.
fn traces(count: u64, evil: bool, check: impl Fn(u64, &End) + Sync) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            let check = &check;
            scope.spawn(move || {
                (0..count).filter(|seed| seed % 2 == half).for_each(|seed| {
                    check(seed, &trace(seed, evil, values()));
                });
            });
        }
    });
}

#[test]
fn whatever_the_network_does_every_second_is_accounted_for() {
    traces(10_000, false, |seed, end| {
        assert_settled(seed, end);
    });
}

fn assert_settled(seed: u64, end: &End) {
    let license = &end.accounts.license;
    assert_eq!(license.balance.left, ALLOCATED - end.used, "seed {seed}");
    assert_eq!((end.forks, end.accounts.open_seats().count()), (0, 0), "seed {seed}");
}

#[test]
fn clones_and_snapshots_gain_at_most_one_lease_each() {
    let total = Mutex::new((0, 0));
    traces(4_000, true, |seed, end| {
        let unaccounted = end.used - end.accounts.license.used();
        assert!(unaccounted <= CACHE * end.clones, "seed {seed}: {unaccounted} of {}", end.used);
        let mut total = total.lock().unwrap();
        *total = (total.0 + end.clones, total.1 + end.forks);
    });
    let (clones, forks) = *total.lock().unwrap();
    assert!(clones > 4_000 && forks > 2_000, "{clones} clones, {forks} forks: nothing was tried");
}
