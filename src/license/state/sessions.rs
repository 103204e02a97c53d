//! Counting seconds: running totals, and the reservations of the speech engine's sessions.
//!
//! Everything is a total, never a difference, so that a message applied twice changes nothing. The
//! functions are pure: each computes an update, which the worker writes to disk before it calls
//! [`Sessions::apply`].

use std::collections::{BTreeMap, VecDeque};

use crate::license::protocol::object::object;

object! {
    /// Totals of one epoch, in seconds; `consumed + held` is never above `granted`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct Totals {
        /// Seconds that the authority has granted.
        pub(crate) granted: u64 = unsigned,
        /// Seconds used, as reported to the authority.
        pub(crate) consumed: u64 = unsigned,
        /// Seconds that running sessions have reserved.
        pub(crate) held: u64 = unsigned,
    }
}

impl Totals {
    /// Seconds that may still be reserved.
    pub(crate) fn allowed(&self) -> u64 {
        self.granted.saturating_sub(self.consumed).saturating_sub(self.held)
    }

    /// Counts all reserved seconds as used, because no session is left that could settle them.
    pub(crate) fn charge_held(self) -> Totals {
        Totals { consumed: self.consumed.saturating_add(self.held), held: 0, ..self }
    }
}

/// Most sessions open at the same time; an engine with more leaks them.
const MAX_OPEN: usize = 4_096;

/// Most settled sessions remembered, so that a late repeat changes nothing.
const MAX_SETTLED: usize = 256;

/// Most reservations remembered of one session; the oldest are dropped first.
const MAX_ANSWERS: usize = 4_096;

/// Number of a session's latest reservations that it may not have used yet; it has used all earlier ones.
const UNCHARGED_BLOCKS: usize = 2;

/// A session without a reservation for this many seconds counts as abandoned.
const ABANDONED_AFTER: u64 = 24 * 3_600;

/// The reservations of all sessions. Not saved: seconds reserved when the process ends count as used (at
/// most one block per session).
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_name: BTreeMap<String, Session>,
    settled: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Session {
    epoch: u64,
    /// Its reservations, the oldest first.
    blocks: VecDeque<u64>,
    /// Seconds of earlier blocks that were already charged.
    charged: u64,
    settled: bool,
    /// Granted seconds by sequence number, for repeats.
    answers: BTreeMap<u64, u64>,
    /// Time of the last reservation, in seconds since the machine started.
    active: u64,
}

impl Session {
    fn held(&self) -> u64 {
        self.blocks.iter().sum()
    }

    /// Seconds of the blocks that it has certainly used.
    fn interim(&self) -> u64 {
        self.blocks.iter().rev().skip(UNCHARGED_BLOCKS).sum()
    }
}

/// A request of the engine to reserve seconds for a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserve<'a> {
    /// The engine's name for the session.
    pub(crate) session: &'a str,
    /// The requested seconds.
    pub(crate) seconds: u64,
    /// Number of the request within the session.
    pub(crate) seq: Option<u64>,
}

/// The result of a request, not applied yet.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// The totals to save; equal to the previous ones if nothing changes.
    pub(crate) totals: Totals,
    /// Seconds granted (reserve) or charged (settle).
    pub(crate) seconds: u64,
    change: Option<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Hold { session: String, seq: Option<u64>, epoch: u64 },
    End { session: String },
    ChargeInterim { epoch: u64 },
}

/// Why no seconds were reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// No seconds are left.
    Exhausted,
    /// Too many sessions are open.
    TooManySessions,
}

impl Sessions {
    /// Reserves up to `request.seconds`. A repeated request gets the same answer.
    ///
    /// # Errors
    /// When no second is left, or too many sessions are open.
    pub(crate) fn reserve(
        &self,
        totals: Totals,
        epoch: u64,
        request: Reserve<'_>,
    ) -> Result<Update, ReserveError> {
        let known = self.by_name.get(request.session);
        if let (Some(session), Some(seq)) = (known, request.seq)
            && let Some(granted) = session.answers.get(&seq)
        {
            return Ok(Update { totals, seconds: *granted, change: None });
        }
        if known.is_none() && self.by_name.len() - self.settled.len() >= MAX_OPEN {
            return Err(ReserveError::TooManySessions);
        }
        let granted = request.seconds.min(totals.allowed());
        if granted == 0 {
            return Err(ReserveError::Exhausted);
        }
        let session = request.session.to_owned();
        Ok(Update {
            totals: Totals { held: totals.held + granted, ..totals },
            seconds: granted,
            change: Some(Change::Hold { session, seq: request.seq, epoch }),
        })
    }

    /// Ends a session: charges the seconds it used, and releases the rest of its reservation.
    ///
    /// Use beyond the reservation is charged as far as seconds are left; interim charges
    /// ([`Sessions::charge_interim`]) are not refunded, because the authority may know of them. An unknown or
    /// settled session changes nothing, and one of an earlier epoch was charged when that ended.
    pub(crate) fn settle(&self, totals: Totals, epoch: u64, session: &str, used: u64) -> Update {
        let unchanged = Update { totals, seconds: 0, change: None };
        let Some(found) = self.by_name.get(session).filter(|found| !found.settled) else {
            return unchanged;
        };
        let change = Some(Change::End { session: session.to_owned() });
        if found.epoch != epoch {
            return Update { change, ..unchanged };
        }
        let free = Totals { held: totals.held.saturating_sub(found.held()), ..totals };
        let charged = used.saturating_sub(found.charged).min(free.allowed());
        Update {
            totals: Totals { consumed: free.consumed + charged, ..free },
            seconds: charged,
            change,
        }
    }

    /// Charges the seconds that running sessions have certainly used, so that they are reported to the
    /// authority and a session may be longer than the cache: a session that reserves more has used all but
    /// its latest blocks.
    pub(crate) fn charge_interim(&self, totals: Totals, epoch: u64) -> Update {
        let running = self.by_name.values().filter(|session| session.epoch == epoch);
        let seconds = running.map(Session::interim).sum::<u64>().min(totals.held);
        let totals =
            Totals { consumed: totals.consumed + seconds, held: totals.held - seconds, ..totals };
        Update { totals, seconds, change: (seconds > 0).then_some(Change::ChargeInterim { epoch }) }
    }

    /// Applies a saved update. `now`: seconds since the machine started.
    pub(crate) fn apply(&mut self, next: &Update, now: u64) {
        match &next.change {
            None => {}
            Some(Change::ChargeInterim { epoch }) => self.interim_charged(*epoch),
            Some(Change::Hold { session, seq, epoch }) => {
                let entry = self.by_name.entry(session.clone()).or_default();
                if entry.settled || entry.epoch != *epoch {
                    self.settled.retain(|name| name != session);
                    *entry = Session { epoch: *epoch, ..Session::default() };
                }
                entry.blocks.push_back(next.seconds);
                if entry.blocks.len() > MAX_ANSWERS {
                    let oldest = entry.blocks.pop_front().unwrap_or(0);
                    if let Some(next) = entry.blocks.front_mut() {
                        *next += oldest;
                    }
                }
                entry.active = now;
                if let Some(seq) = seq {
                    entry.answers.insert(*seq, next.seconds);
                    if entry.answers.len() > MAX_ANSWERS {
                        entry.answers.pop_first();
                    }
                }
            }
            Some(Change::End { session }) => {
                if let Some(entry) = self.by_name.get_mut(session) {
                    entry.settled = true;
                    entry.blocks.clear();
                    self.settled.push_back(session.clone());
                }
                if self.settled.len() > MAX_SETTLED
                    && let Some(oldest) = self.settled.pop_front()
                {
                    self.by_name.remove(&oldest);
                }
            }
        }
    }

    fn interim_charged(&mut self, epoch: u64) {
        for session in self.by_name.values_mut().filter(|session| session.epoch == epoch) {
            let interim = session.interim();
            session.charged += interim;
            let kept = session.blocks.len().saturating_sub(UNCHARGED_BLOCKS);
            session.blocks.drain(..kept);
        }
    }

    /// An abandoned session and the seconds to settle it with: all that it reserved.
    pub(crate) fn abandoned(&self, now: u64) -> Option<(String, u64)> {
        self.by_name
            .iter()
            .find(|(_, session)| {
                !session.settled && now.saturating_sub(session.active) > ABANDONED_AFTER
            })
            .map(|(name, session)| (name.clone(), session.charged + session.held()))
    }
}

#[cfg(test)]
mod tests;
