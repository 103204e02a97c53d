//! An exhaustive exploration: every world that two appliances, one seat, a bad network and power cuts can
//! lead to within a number of steps, breadth first, with the real plans, transitions and accounts.
//!
//! Requests and answers are lost, late, doubled and replayed; the power is cut or the disk fails at each
//! write; a clock is set. `LICENSE_DEPTH` gives another number of steps.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod appliance;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Action;
use crate::authority::accounts::Accounts;
use crate::authority::license::{License, Terms};
use crate::authority::model::{CODE, NOW, Vendor};
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::message::{Answer, Op, Request, User};
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use appliance::{Appliance, Disk};

/// Steps from each beginning.
const DEPTH: usize = 4;

const SECONDS: i64 = 6;
const DAY: i64 = 86_400;

#[derive(Debug, Clone)]
enum Step {
    Perform(usize, Action, Disk),
    Sync(usize),
    /// The request in flight reaches the authority.
    Deliver(usize),
    /// Its answer reaches the appliance.
    Hear(usize, Disk),
    /// The call fails; the flag says whether the authority may have heard it.
    Fail(usize, bool),
    /// Something that was sent once is delivered, late or again, and its answer is lost.
    Replay(usize),
    /// The vendor signs or redeems the certificate.
    Sign(usize),
    Use(usize, bool),
    Restart(usize),
    SetClock(usize),
}

#[derive(Clone)]
struct World {
    accounts: Accounts,
    appliances: [Appliance; 2],
    /// Requests that left an appliance, by their appliance, and whether in a certificate.
    sent: Vec<(usize, Request, bool)>,
    trace: Vec<Step>,
}

impl World {
    fn new(vendor: &Vendor) -> World {
        let terms = Terms {
            seats: 1,
            cache: 2,
            offline_secs: 3,
            lease: 300 * DAY,
            ..vendor.accounts.license.terms.clone()
        };
        World {
            accounts: Accounts::new(License::new(terms, SECONDS)),
            appliances: [Appliance::new(1), Appliance::new(2)],
            sent: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let appliances = self.appliances.each_ref().map(Appliance::key);
        let mut sent: Vec<_> = self.sent.iter().map(|(_, request, _)| request.req_id.0).collect();
        sent.sort_unstable();
        (format!("{:?}", self.accounts), appliances, sent).hash(&mut hasher);
        hasher.finish()
    }

    /// The authority hears a request.
    fn ask(
        &mut self,
        vendor: &mut Vendor,
        at: usize,
        request: &Request,
        certificate: bool,
    ) -> Answer {
        vendor.accounts = self.accounts.clone();
        let device = self.appliances[at].device;
        let heard = vendor.answer_by(device, request, certificate);
        self.accounts = vendor.accounts.clone();
        heard
    }

    fn left(&mut self, at: usize, request: &Request, certificate: bool) {
        if !self.sent.iter().any(|(_, sent, _)| sent.req_id == request.req_id) {
            self.sent.push((at, request.clone(), certificate));
            self.appliances[at].seen += 1;
        }
    }

    fn sign(&mut self, vendor: &mut Vendor, at: usize) {
        let Some(request) = self.appliances[at].certified.clone() else { return };
        let answer = self.ask(vendor, at, &request, true);
        if let Some(token) = answer.token.filter(|_| request.op != Op::Return) {
            self.appliances[at].signed = Certificate::License(token).write();
        }
    }

    /// All steps that may come next.
    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = (0..self.sent.len()).map(Step::Replay).collect();
        for (at, appliance) in self.appliances.iter().enumerate() {
            if let Some(call) = &appliance.call {
                steps.push(Step::Fail(at, true));
                if call.answer.is_none() {
                    steps.extend([Step::Deliver(at), Step::Fail(at, false)]);
                } else {
                    let disks = [Disk::Works, Disk::Fails, Disk::CutAfter(1)];
                    steps.extend(disks.map(|disk| Step::Hear(at, disk)));
                }
            } else {
                steps.extend(appliance.actions().into_iter().flat_map(|action| {
                    [Disk::Works, Disk::Fails, Disk::CutAfter(1)]
                        .map(|disk| Step::Perform(at, action.clone(), disk))
                }));
                let asks =
                    appliance.state.phase == Phase::Online || appliance.state.pending.is_some();
                if asks && !appliance.state.phase.is_offline() {
                    steps.push(Step::Sync(at));
                }
            }
            if appliance.certified.is_some() {
                steps.push(Step::Sign(at));
            }
            if appliance.in_force() && appliance.state.totals.allowed() > 0 {
                steps.extend([Step::Use(at, false), Step::Use(at, true)]);
            }
            steps.push(Step::Restart(at));
            if appliance.wall == NOW {
                steps.push(Step::SetClock(at));
            }
        }
        steps
    }

    fn take(&mut self, vendor: &mut Vendor, step: &Step) {
        self.trace.push(step.clone());
        match step {
            Step::Perform(at, action, disk) => {
                let before = self.appliances[*at].certified.clone();
                self.appliances[*at].perform(action, vendor, *disk);
                let made = self.appliances[*at].certified.clone();
                if let Some(request) = made.filter(|made| Some(made) != before.as_ref()) {
                    self.left(*at, &request, true);
                }
            }
            Step::Sync(at) => self.appliances[*at].sync(vendor),
            Step::Deliver(at) => {
                let request = self.appliances[*at].call.clone().unwrap().request;
                let answer = self.ask(vendor, *at, &request, false);
                self.left(*at, &request, false);
                self.appliances[*at].call.as_mut().unwrap().answer = Some(answer);
            }
            Step::Hear(at, disk) => self.appliances[*at].hear(vendor, *disk),
            Step::Fail(at, delivered) => {
                let request = self.appliances[*at].call.clone().unwrap().request;
                if *delivered {
                    self.left(*at, &request, false);
                }
                self.appliances[*at].fail(vendor, *delivered);
            }
            Step::Replay(number) => {
                let (at, request, certificate) = self.sent[*number].clone();
                self.ask(vendor, at, &request, certificate);
            }
            Step::Sign(at) => self.sign(vendor, *at),
            Step::Use(at, held) => self.appliances[*at].use_second(*held),
            Step::Restart(at) => self.appliances[*at].restart(),
            Step::SetClock(at) => self.appliances[*at].wall += 40 * DAY,
        }
    }

    /// What always holds.
    fn check(&self) {
        let trace = &self.trace;
        assert!(self.accounts.is_whole(), "the accounts don't add up: {trace:?}");
        assert!(self.accounts.open_seats().count() <= 1, "one seat was sold: {trace:?}");
        let used: u64 = self.appliances.iter().map(|appliance| appliance.used).sum();
        assert!(used <= SECONDS.unsigned_abs(), "more was used than bought: {trace:?}");
        for appliance in self.appliances.iter().filter(|appliance| appliance.in_force()) {
            let state = &appliance.state;
            let mut seats = self.accounts.open_seats();
            let seat = seats.find(|seat| seat.device == appliance.device);
            let seat = seat.unwrap_or_else(|| panic!("in force without a seat: {trace:?}"));
            if seat.epoch != state.epoch {
                // The seconds of the epoch that it uses were charged as a whole.
                assert!(appliance.discarded, "its seat was taken over: {trace:?}");
                continue;
            }
            let held = i64::try_from(state.totals.granted).unwrap();
            assert!(held <= seat.granted, "seconds from nowhere: {trace:?}");
            let consumed = i64::try_from(state.totals.consumed).unwrap();
            assert!(seat.consumed <= consumed, "charged before it was used: {trace:?}");
        }
    }

    /// Both appliances return what they have, over a network that works. Nothing is lost or paid twice.
    fn settle(mut self, vendor: &mut Vendor) {
        for at in 0..2 {
            if self.appliances[at].call.is_some() {
                self.take(vendor, &Step::Fail(at, true));
            }
            for _ in 0..8 {
                for step in self.way_home(at) {
                    self.take(vendor, &step);
                    self.check();
                }
            }
            let Appliance { state, discarded, .. } = &self.appliances[at];
            // Else a renewal may wait for ever, because the vendor does not know its epoch any longer.
            let home = *discarded || state.phase == Phase::Unlicensed;
            assert!(home, "not returned: {:?}", self.trace);
        }
        let used: u64 = self.appliances.iter().map(|appliance| appliance.used).sum();
        let (used, charged) = (i64::try_from(used).unwrap(), self.accounts.license.used());
        assert!(used <= charged, "{used} used, {charged} charged: {:?}", self.trace);
        if self.appliances.iter().any(|appliance| appliance.discarded) {
            return;
        }
        assert_eq!(self.accounts.open_seats().count(), 0, "a seat is lost: {:?}", self.trace);
        if self.appliances.iter().any(|appliance| appliance.both) {
            return;
        }
        assert_eq!(used, charged, "used and charged: {:?}", self.trace);
        assert!(self.accounts.license.sums.takeovers == 0, "taken for a copy: {:?}", self.trace);
    }

    /// The next steps of [`World::settle`].
    fn way_home(&self, at: usize) -> Vec<Step> {
        let appliance = &self.appliances[at];
        let answered = |first: Step| vec![first, Step::Deliver(at), Step::Hear(at, Disk::Works)];
        let perform = |action| Step::Perform(at, action, Disk::Works);
        let State { phase, pending, pending_activation, .. } = &appliance.state;
        match phase {
            Phase::OfflineMode => answered(perform(Action::LeaveOfflineMode)),
            Phase::OfflineCertificate if pending_activation.is_some() => {
                let mut steps = vec![Step::Sign(at)];
                steps.extend(appliance.signed.is_some().then(|| perform(appliance.apply())));
                steps
            }
            Phase::OfflineCertificate => vec![perform(Action::ReturnCertificate), Step::Sign(at)],
            _ if pending.is_some() => answered(Step::Sync(at)),
            Phase::Online => answered(perform(Action::Remove)),
            Phase::Unlicensed if pending_activation.is_some() && !appliance.discarded => {
                let mut steps = vec![Step::Sign(at)];
                steps.extend(appliance.signed.is_some().then(|| perform(appliance.apply())));
                steps
            }
            Phase::Unlicensed => vec![Step::Sign(at)],
            _ => vec![perform(Action::Remove)],
        }
    }
}

/// Beginnings, so that a few steps lead further: each is a number of steps of the first appliance that
/// all succeed.
fn beginnings(vendor: &mut Vendor) -> Vec<World> {
    let fresh = World::new(vendor);
    let perform = |action| Step::Perform(0, action, Disk::Works);
    let answered = |action| vec![perform(action), Step::Deliver(0), Step::Hear(0, Disk::Works)];
    let activate = Action::Activate { code: CODE.to_owned(), user: User::default() };
    let request = Action::RequestCertificate { code: CODE.to_owned(), user: User::default() };
    let mut after = |steps: &[Step], world: &World| {
        let mut world = world.clone();
        steps.iter().for_each(|step| world.take(vendor, step));
        world
    };
    let online = after(&answered(activate), &fresh);
    let returning = after(&[perform(Action::Remove), Step::Deliver(0)], &online);
    let offline = after(&answered(Action::EnterOfflineMode), &online);
    let signed = after(&[perform(request), Step::Sign(0)], &fresh);
    let certificate = after(&[perform(signed.appliances[0].apply())], &signed);
    assert_eq!(online.appliances[0].state.phase, Phase::Online);
    assert_eq!(offline.appliances[0].state.phase, Phase::OfflineMode);
    assert_eq!(certificate.appliances[0].state.phase, Phase::OfflineCertificate);
    let mut worlds = unanswered_twice(&fresh, after);
    worlds.extend([fresh, online, returning, offline, signed, certificate]);
    worlds
}

/// Two activations in a row that nobody answers, each lost on its way to the authority, where it may still come
/// late, or on its way back. Then the second one is discarded too, or the other appliance gets no answer either.
fn unanswered_twice(fresh: &World, mut after: impl FnMut(&[Step], &World) -> World) -> Vec<World> {
    let unanswered = |at: usize, arrives: bool| {
        let activate = Action::Activate { code: CODE.to_owned(), user: User::default() };
        let mut steps = vec![Step::Perform(at, activate, Disk::Works), Step::Fail(at, true)];
        if arrives {
            steps.insert(1, Step::Deliver(at));
        }
        steps
    };
    let discarded = [Step::Perform(0, Action::Remove, Disk::Works), Step::Fail(0, true)];
    let mut worlds = Vec::new();
    for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
        let steps = [&unanswered(0, first)[..], &discarded, &unanswered(0, second)].concat();
        let twice = after(&steps, fresh);
        let State { pending, abandoned_activation, .. } = &twice.appliances[0].state;
        assert!(pending.is_some() && abandoned_activation.is_some(), "{:?}", twice.trace);
        let without_both = after(&discarded, &twice);
        let of_both = after(&unanswered(1, true), &twice);
        worlds.extend([twice, without_both, of_both]);
    }
    worlds
}

#[test]
fn no_order_of_steps_breaks_the_accounts_or_gives_a_seat_twice() {
    let depth = std::env::var("LICENSE_DEPTH").map_or(DEPTH, |depth| depth.parse().unwrap());
    let mut vendor = Vendor::new();
    let mut seen = HashSet::new();
    let mut worlds = beginnings(&mut vendor);
    seen.extend(worlds.iter().map(World::key));
    let mut steps = 0;
    for _ in 0..depth {
        let mut next = Vec::new();
        for world in worlds {
            for step in world.steps() {
                let mut after = world.clone();
                after.take(&mut vendor, &step);
                steps += 1;
                if seen.insert(after.key()) {
                    after.check();
                    after.clone().settle(&mut vendor);
                    next.push(after);
                }
            }
        }
        worlds = next;
    }
    println!("{} states within {depth} steps, {steps} transitions", seen.len());
    assert!(seen.len() > 1_000, "{} states", seen.len());
}
