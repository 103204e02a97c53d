//! One license as the authority knows it: its terms, its seconds, and who holds them.

use crate::license::protocol::claims::Lease;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, Request, User};
use crate::license::protocol::object::{object, words};

use super::balance::Balance;
use super::replay_ids::ReplayIds;
use crate::util::utc;

/// Most ids of one epoch that are remembered, and fewest for a license with many seats.
const MAX_IDS: usize = 10_000;
const MIN_IDS: usize = 1_000;

/// Ids that all epochs of a license remember together, unless that leaves each fewer than [`MIN_IDS`].
const MAX_IDS_PER_LICENSE: usize = 10_000_000;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// Seconds.
pub(crate) const MONTH: i64 = 30 * DAY;

/// Takeovers of one computer's seat, and moves of one device, that are free within [`MONTH`].
pub(crate) const FREE_MOVES: usize = 3;

object! {
    /// What was sold.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Terms {
        /// The 18 digits.
        pub(crate) code: String = parsed("18 digits", license_code),
        pub(crate) product: String = text(16),
        /// 2 trial, 6 concurrent subscription.
        pub(crate) kind: i64 = count,
        /// How many appliances may be active at a time.
        pub(crate) seats: i64 = count,
        /// Most seconds that an appliance holds while it is online.
        pub(crate) cache: i64 = count,
        /// End of the subscription, in seconds since 1970.
        pub(crate) exp: i64 = number,
        /// Seconds after `exp` in which speech still works, with a warning.
        pub(crate) grace: i64 = count,
        /// How long a lease lasts without contact, in seconds.
        pub(crate) lease: i64 = count,
        /// Whether appliances may go offline or be activated without a network.
        pub(crate) offline: bool = flag,
        /// Most seconds that an appliance holds while it is offline.
        pub(crate) offline_secs: i64 = count,
        /// When it was made, in seconds since 1970.
        pub(crate) created: i64 = number,
    }
}

impl Terms {
    /// The customer: the first four digits of the code.
    pub(crate) fn customer(&self) -> i64 {
        self.code.get(..4).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// How many ids of an epoch are remembered. The number is constant, because a license keeps its number of
    /// seats; so a request is too old before its id is forgotten.
    pub(crate) fn max_ids(&self) -> usize {
        let seats = usize::try_from(self.seats).unwrap_or(1).max(1);
        (MAX_IDS_PER_LICENSE / seats).clamp(MIN_IDS, MAX_IDS)
    }

    /// When the grace period ends, in seconds since 1970.
    pub(crate) fn end(&self) -> i64 {
        self.exp.saturating_add(self.grace)
    }
}

words! {
    /// Whether the license may be used at all.
    pub(crate) enum Status {
        Active = "active",
        Suspended = "suspended",
        Revoked = "revoked",
    }
}

/// The accounts of one device key; kept after it is closed, so that a replayed request is recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activation {
    pub(crate) device: Digest,
    pub(crate) computer_id: String,
    pub(crate) open: bool,
    pub(crate) epoch: i64,
    /// Answers given in this epoch.
    pub(crate) seq: i64,
    /// SHA-256 of the last lease's text.
    pub(crate) last: Digest,
    /// SHA-256 of the last lease under keys that were revoked since; the appliance may have any of these.
    pub(crate) reissued: Vec<Digest>,
    /// Seconds granted in this epoch.
    pub(crate) granted: i64,
    /// Seconds used in this epoch, as the appliance reported.
    pub(crate) consumed: i64,
    /// Requests of this epoch that were answered.
    pub(crate) ids: ReplayIds,
    /// The newest answer, for a retry of its request.
    pub(crate) last_answer: Option<Answer>,
    /// When the computer changed under the same key, in seconds since 1970.
    pub(crate) moves: Vec<i64>,
    /// Whether the appliance said it would stay offline.
    pub(crate) offline: bool,
    /// When its last request came, in seconds since 1970.
    pub(crate) last_contact: i64,
    pub(crate) version: String,
    /// Head of the appliance's own usage log.
    pub(crate) log_head: Digest,
    /// How often its clock was set back.
    pub(crate) regressions: i64,
    pub(crate) user: User,
}

impl Activation {
    /// Seconds that the appliance holds and may still use.
    pub(crate) fn outstanding(&self) -> i64 {
        self.granted - self.consumed
    }

    /// Whether the request follows the last answer of this epoch, with possible totals.
    pub(crate) fn continues_with(&self, request: &Request) -> bool {
        self.epoch == request.epoch
            && self.seq == request.seq
            && (self.last == request.prev || self.reissued.contains(&request.prev))
            && (self.consumed..=self.granted).contains(&request.consumed)
    }
}

/// A license and its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct License {
    pub(crate) terms: Terms,
    pub(crate) status: Status,
    pub(crate) balance: Balance,
    pub(crate) activations: Vec<Activation>,
    /// Every activation request ever: a replayed one must never take a seat.
    pub(crate) activated: ReplayIds,
    /// Requests that were denied: they must not succeed when they are replayed later.
    pub(crate) refused: Vec<(RequestId, Denial)>,
    /// When a seat was taken over, in seconds since 1970, and by which computer.
    pub(crate) takeovers: Vec<(i64, String)>,
}

impl License {
    /// Whether this device has ever held a seat; one that has not may be guessing codes.
    pub(super) fn has_held(&self, device: &Digest) -> bool {
        self.activations.iter().any(|activation| activation.device == *device)
    }

    pub(crate) fn new(terms: Terms, seconds: i64) -> License {
        License {
            terms,
            status: Status::Active,
            balance: Balance::new(seconds),
            activations: Vec::new(),
            activated: ReplayIds::default(),
            refused: Vec::new(),
            takeovers: Vec::new(),
        }
    }

    /// Activations that hold a seat.
    pub(crate) fn open_activations(&self) -> impl Iterator<Item = &Activation> {
        self.activations.iter().filter(|activation| activation.open)
    }

    /// Seconds that appliances hold and may still use.
    pub(crate) fn outstanding(&self) -> i64 {
        self.open_activations().map(Activation::outstanding).sum()
    }

    /// Seconds that were used, or lost with an epoch.
    pub(crate) fn used(&self) -> i64 {
        self.balance.charged
            + self.open_activations().map(|activation| activation.consumed).sum::<i64>()
    }

    /// Whether the seconds add up; false means that the file was damaged or edited.
    #[must_use]
    pub(crate) fn is_consistent(&self) -> bool {
        let possible =
            |a: &Activation| (0..=a.granted).contains(&a.consumed) && a.seq >= 0 && a.epoch > 0;
        let one_each = self.open_activations().all(|a| {
            self.open_activations()
                .filter(|b| b.computer_id == a.computer_id || b.device == a.device)
                .count()
                == 1
        });
        one_each
            && self.activations.iter().all(possible)
            && self
                .balance
                .is_consistent(self.open_activations().map(|activation| activation.granted).sum())
    }

    /// When `computer` may next take a seat over, in seconds since 1970; `None` if it may now.
    pub(crate) fn next_takeover(&self, computer: &str, now: i64) -> Option<i64> {
        let recent = |time: &i64| now.saturating_sub(*time) < MONTH;
        let mine = self.takeovers.iter().filter(|(_, by)| by == computer).map(|(time, _)| *time);
        let mut times: Vec<i64> = mine.filter(recent).collect();
        times.sort_unstable();
        // Once this takeover is a month old, fewer than `FREE_MOVES` are recent.
        times.len().checked_sub(FREE_MOVES).and_then(|at| times.get(at)).map(|time| time + MONTH)
    }

    /// The answer to a denied request; a denied takeover names the date from which it is possible.
    pub(crate) fn denied(&self, request: &Request, now: i64, denial: Denial) -> Answer {
        let answer = Answer::denied(request.req_id, now, denial);
        match self.next_takeover(&request.computer_id, now) {
            Some(again) if denial == Denial::TooManyTakeovers => Answer {
                message: format!(
                    "the seat of this computer was taken over {FREE_MOVES} times within 30 days: it is free \
                     again on {}, or ask your vendor to release it",
                    utc::format(again)
                ),
                ..answer
            },
            _ => answer,
        }
    }

    /// Closes the activation at `at`; `unused` of its seconds come back, the rest is charged.
    pub(crate) fn close(&mut self, at: usize, unused: i64) {
        let Some(activation) = self.activations.get_mut(at) else { return };
        activation.open = false;
        self.balance.settle(activation.granted, unused);
    }

    /// The lease that matches the accounts of `activation`.
    pub(crate) fn lease(&self, activation: &Activation, req_id: RequestId, now: i64) -> Lease {
        let terms = &self.terms;
        let end = terms.end();
        let contact = now.saturating_add(terms.lease).min(end);
        Lease {
            license: terms.code.clone(),
            customer_id: terms.customer(),
            product: terms.product.clone(),
            computer_id: activation.computer_id.clone(),
            device: activation.device,
            req_id,
            epoch: activation.epoch,
            seq: activation.seq,
            granted: activation.granted,
            allocated: self.balance.allocated,
            pool_left: self.balance.left,
            cache: terms.cache,
            kind: terms.kind,
            features: Vec::new(),
            exp: terms.exp,
            grace: terms.grace,
            lease_exp: if activation.offline { end } else { contact },
            iat: now,
            offline_mode: terms.offline,
            offline_secs: if terms.offline { terms.offline_secs } else { 0 },
            offline_until: if terms.offline { end } else { 0 },
            bundle: None,
        }
    }
}
