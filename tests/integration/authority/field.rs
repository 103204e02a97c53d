//! Many appliances that ask at random, and their own accounts of what they used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use applianced::protocol::hex::RequestId;
use applianced::protocol::message::{Answer, Denial, Kind, Op, Request};

use crate::authority::machine::Machine;
use crate::support::wait::until;

/// What all appliances share.
pub(crate) struct Field {
    /// Where the authority is now.
    pub(crate) address: RwLock<SocketAddr>,
    /// How long an appliance asks for one answer.
    patience: Duration,
    pub(crate) over: AtomicBool,
    pub(crate) answers: AtomicUsize,
    pub(crate) retries: AtomicUsize,
    /// The longest time until an answer, in milliseconds.
    pub(crate) longest: AtomicUsize,
}

impl Field {
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Field {
        Field {
            address: RwLock::new(address),
            patience,
            over: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            retries: AtomicUsize::new(0),
            longest: AtomicUsize::new(0),
        }
    }

    pub(crate) fn answered(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

/// An appliance and its own account of what it used.
pub(crate) struct Appliance {
    machine: Machine,
    /// Seconds used in activations that were given back.
    used: i64,
    answers: usize,
}

impl Appliance {
    pub(crate) fn new(machine: Machine) -> Appliance {
        Appliance { machine, used: 0, answers: 0 }
    }

    /// Asks the same question until it is answered, as an appliance does.
    fn ask(&mut self, op: Op, field: &Field) {
        let request = self.machine.request(op);
        let (mut first, asked) = (true, Instant::now());
        let answer: Answer = until(field.patience, "the question is answered", || {
            let answer = self.heard(&request, field);
            if !std::mem::replace(&mut first, false) {
                field.retries.fetch_add(1, Ordering::Relaxed);
            }
            answer
        });
        let waited = usize::try_from(asked.elapsed().as_millis()).unwrap();
        field.longest.fetch_max(waited, Ordering::Relaxed);
        // Whoever answers the same question again, and whenever, says the same.
        if let Some(again) = self.heard(&request, field) {
            let said = |answer: &Answer| (answer.kind, answer.token.clone(), answer.returned);
            assert_eq!(said(&again), said(&answer), "{op:?}");
        }
        let expected = if op == Op::Return { Kind::Returned } else { Kind::Lease };
        assert_eq!((answer.kind, answer.denial), (expected, None), "{op:?}");
        if op == Op::Return {
            assert_eq!(answer.returned, self.machine.granted - self.machine.consumed);
            self.used += self.machine.consumed;
        }
        self.machine.take_in(op, &answer);
        self.answers += 1;
        field.answers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Appliance {
    /// One answer, unless the authority could not give one now.
    fn heard(&self, request: &Request, field: &Field) -> Option<Answer> {
        let address = *field.address.read().unwrap();
        let answer = self.machine.send(address, request).ok()?;
        (answer.denial != Some(Denial::Unavailable)).then_some(answer)
    }
}

/// Lets the appliances of one share ask at random, each first for its license, until it is over.
pub(crate) fn call(mut share: Vec<Appliance>, field: &Field) -> Vec<Appliance> {
    let mut dice = Dice::new();
    while !share.is_empty() && !field.over.load(Ordering::Relaxed) {
        let chosen = dice.below(share.len() as u64);
        let appliance = &mut share[usize::try_from(chosen).unwrap()];
        let machine = &mut appliance.machine;
        let op = if machine.granted == 0 {
            Op::Activate
        } else {
            let unused = u64::try_from(machine.granted - machine.consumed).unwrap();
            machine.consumed += i64::try_from(dice.below(unused + 1)).unwrap();
            if dice.below(10) == 0 { Op::Return } else { Op::Sync }
        };
        appliance.ask(op, field);
    }
    share
}

/// Xorshift: the order of questions needs no better chance.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let id = RequestId::random().unwrap().to_string();
        Dice(u64::from_str_radix(&id[..16], 16).unwrap() | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What the appliances of one license know of it.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) held: i64,
    pub(crate) used: i64,
    pub(crate) open: usize,
    pub(crate) answers: usize,
}

/// The accounts of all appliances, by license.
pub(crate) fn accounts(appliances: &[Appliance]) -> BTreeMap<&str, Account> {
    let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
    for Appliance { machine, used, answers } in appliances {
        let account = accounts.entry(&machine.code).or_default();
        account.held += machine.granted - machine.consumed;
        // What an appliance used since its last answer the authority has not heard of: there is none here.
        account.used += used + machine.consumed;
        account.open += usize::from(machine.granted > 0);
        account.answers += answers;
    }
    accounts
}
