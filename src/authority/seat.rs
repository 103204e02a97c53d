//! The accounts of one device key, and the computer whose seat it holds.

use serde_json::Value;

use crate::license::protocol::fields::computer_id;
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, Request, User};
use crate::license::protocol::object::object;

use super::license::DAY;
use super::replay_ids::ReplayIds;

/// Seconds.
pub(crate) const MONTH: i64 = 30 * DAY;

/// Takeovers of one computer's seat, and moves of one device, that are free within [`MONTH`].
pub(crate) const FREE_MOVES: usize = 3;

/// Ids of answered requests that a seat's own record holds; when there are so many, they become a record of
/// their own, a page. So a seat's record stays small however long its epoch lasts.
pub(crate) const PAGE: usize = 128;

/// Denied requests of one seat that are remembered.
const MAX_REFUSALS: usize = 100;

object! {
    /// The accounts of one device key; kept after it is closed, so that a replayed request is recognized.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct Seat {
        pub(crate) device: Digest = digest,
        pub(crate) computer_id: String = parsed("a UUID", computer_id),
        pub(crate) open: bool = flag,
        pub(crate) epoch: i64 = count,
        /// Answers given in this epoch.
        pub(crate) seq: i64 = count,
        /// SHA-256 of the last lease's text.
        pub(crate) last: Digest = digest,
        /// SHA-256 of the last lease under keys that were revoked since; the appliance may have any of these.
        pub(crate) reissued as "also": Vec<Digest> = list("a list of digests", digest),
        /// Seconds granted in this epoch.
        pub(crate) granted: i64 = count,
        /// Seconds used in this epoch, as the appliance reported.
        pub(crate) consumed: i64 = count,
        /// The request that began this epoch; none once it has ended.
        pub(crate) opened_by: ReplayIds = parsed("a list of ids", ReplayIds::parse),
        /// The newest requests of this epoch that were answered: those since the last full page.
        ///
        /// The request that says `seq` is the one that was answered when the epoch had `seq` answers, so an id
        /// is found by its place.
        pub(crate) answered: ReplayIds = parsed("a list of ids", ReplayIds::parse),
        /// Activations of this device ever: a replayed one must never take a seat.
        pub(crate) activated: ReplayIds = parsed("a list of ids", ReplayIds::parse),
        /// Requests that were denied: they must not succeed when they are replayed later.
        pub(crate) refused: Vec<(RequestId, Denial)> = list("a list of ids and reasons", refusal),
        /// The newest answer, for a retry of its request.
        pub(crate) last_answer as "kept": Option<Answer> = present(Answer::read),
        /// When the computer changed under the same key, in seconds since 1970.
        pub(crate) moves: Vec<i64> = list("a list of times", Value::as_i64),
        /// Whether the appliance said it would stay offline.
        pub(crate) offline: bool = flag,
        /// When its last request came, in seconds since 1970.
        pub(crate) last_contact as "heard": i64 = number,
        pub(crate) version: String = text(256),
        /// Head of the appliance's own usage log.
        pub(crate) log_head: Digest = digest,
        /// How often its clock was set back.
        pub(crate) regressions: i64 = count,
        pub(crate) user: User = flat(User::read),
    }
}

fn digest(value: &Value) -> Option<Digest> {
    Digest::parse(value.as_str()?)
}

/// A denied request.
pub(super) fn refusal(value: &Value) -> Option<(RequestId, Denial)> {
    match value.as_array()?.as_slice() {
        [id, reason] => Some((RequestId::parse(id.as_str()?)?, Denial::parse(reason.as_str()?)?)),
        _ => None,
    }
}

impl Seat {
    /// Seconds that the appliance holds and may still use.
    pub(crate) fn outstanding(&self) -> i64 {
        self.granted - self.consumed
    }

    /// Whether its totals are possible; false means that the record was damaged or edited.
    pub(crate) fn is_consistent(&self) -> bool {
        (0..=self.granted).contains(&self.consumed) && self.seq >= 0 && self.epoch > 0
    }

    /// Whether the request follows the last answer of this epoch, with possible totals.
    pub(crate) fn continues_with(&self, request: &Request) -> bool {
        self.epoch == request.epoch
            && self.seq == request.seq
            && (self.last == request.prev || self.reissued.contains(&request.prev))
            && (self.consumed..=self.granted).contains(&request.consumed)
    }

    /// The page of answered requests among which one of this epoch would be; `None` if that is the seat's own
    /// record, or if it can't have been answered.
    pub(crate) fn page_of(&self, request: &Request) -> Option<Page> {
        let full = usize::try_from(self.seq).ok()?.saturating_sub(self.answered.len());
        let at = usize::try_from(request.seq).ok().filter(|at| *at < full)?;
        let fits = self.epoch == request.epoch;
        fits.then_some(Page { device: self.device, epoch: self.epoch, number: at / PAGE })
    }

    /// Whether the request was answered in this epoch; `page` is that of [`Seat::page_of`].
    pub(crate) fn has_answered(&self, request: &Request, page: Option<&ReplayIds>) -> bool {
        let at = usize::try_from(request.seq).unwrap_or(usize::MAX);
        let ids = page.unwrap_or(&self.answered);
        self.opened_by.contains(request.req_id)
            || (self.epoch == request.epoch && ids.may_have(at % PAGE, request.req_id))
    }

    /// Remembers an answered request, after `seq` was counted up; returns the page that it filled.
    pub(crate) fn remember_answered(&mut self, id: RequestId) -> Option<(Page, ReplayIds)> {
        self.answered.push(id);
        if self.answered.len() < PAGE {
            return None;
        }
        let number = usize::try_from(self.seq).unwrap_or(0).saturating_sub(1) / PAGE;
        let page = Page { device: self.device, epoch: self.epoch, number };
        Some((page, std::mem::take(&mut self.answered)))
    }

    /// Remembers a denied request, and forgets the oldest one of too many.
    pub(crate) fn remember_refused(&mut self, id: RequestId, denial: Denial) {
        self.refused.push((id, denial));
        let beyond = self.refused.len().saturating_sub(MAX_REFUSALS);
        self.refused.drain(..beyond);
    }
}

/// Names [`PAGE`] answered requests of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Page {
    pub(crate) device: Digest,
    pub(crate) epoch: i64,
    pub(crate) number: usize,
}

object! {
    /// A computer of a license.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct Computer {
        /// The device key that holds its seat.
        pub(crate) holder: Option<Digest> = optional("64 lower-case hex digits", Digest::parse),
        /// When its seat was taken over within the last [`MONTH`], in seconds since 1970.
        pub(crate) takeovers: Vec<i64> = list("a list of times", Value::as_i64),
    }
}

impl Computer {
    /// When its seat may be taken over next, in seconds since 1970; `None` if it may be now.
    pub(crate) fn next_takeover(&self, now: i64) -> Option<i64> {
        let recent = |time: &&i64| now.saturating_sub(**time) < MONTH;
        let mut times: Vec<i64> = self.takeovers.iter().filter(recent).copied().collect();
        times.sort_unstable();
        // Once this takeover is a month old, fewer than `FREE_MOVES` are recent.
        times.len().checked_sub(FREE_MOVES).and_then(|at| times.get(at)).map(|time| time + MONTH)
    }

    /// Counts a takeover.
    pub(crate) fn take_over(&mut self, now: i64) {
        self.takeovers.retain(|time| now.saturating_sub(*time) < MONTH);
        self.takeovers.push(now);
    }
}
