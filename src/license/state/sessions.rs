//! Counting seconds: running totals, and what the sessions of the speech engine hold of them.
//!
//! Everything is a total, never a difference, so that a message applied twice changes nothing. Pure:
//! each call looks at the state and says what the next one would be; the worker writes that to disk
//! before it takes it over with [`Sessions::apply`].

use std::collections::{BTreeMap, VecDeque};

/// Totals of one epoch, in seconds; `consumed + held` is never above `granted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// What the authority has handed out.
    pub(crate) granted: u64,
    /// What was used up, and is told to the authority.
    pub(crate) consumed: u64,
    /// What running sessions have reserved.
    pub(crate) held: u64,
}

impl Totals {
    /// What may still be reserved.
    pub(crate) fn allowed(&self) -> u64 {
        self.granted.saturating_sub(self.consumed).saturating_sub(self.held)
    }

    /// Nobody is left who could settle what is held: it counts as used.
    pub(crate) fn charge_held(self) -> Totals {
        Totals { consumed: self.consumed.saturating_add(self.held), held: 0, ..self }
    }
}

/// Sessions open at the same time; an engine that needs more has lost count of them.
const MAX_OPEN: usize = 4_096;

/// Settled sessions remembered, so that a late repeat changes nothing.
const MAX_SETTLED: usize = 256;

/// Reserves remembered of one session, newest first to stay.
const MAX_ANSWERS: usize = 4_096;

/// Latest reserves of a session that it may not have used yet; what came before them it has.
const UNCHARGED_BLOCKS: usize = 2;

/// A session that asked for nothing in so many seconds has lost its engine.
const ABANDONED_AFTER: u64 = 24 * 3_600;

/// Who holds what. Not kept on disk: what is held when the process ends was used, as far as anybody
/// can know (at most one block a session).
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_name: BTreeMap<String, Session>,
    settled: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Session {
    epoch: u64,
    /// What it holds, reserve by reserve, the oldest first.
    blocks: VecDeque<u64>,
    /// What of earlier blocks was charged already, because it had moved on.
    charged: u64,
    settled: bool,
    /// By sequence number, for repeats.
    answers: BTreeMap<u64, u64>,
    /// Seconds since the machine started.
    active: u64,
}

impl Session {
    fn held(&self) -> u64 {
        self.blocks.iter().sum()
    }

    /// Seconds of the blocks it has surely used.
    fn interim(&self) -> u64 {
        self.blocks.iter().rev().skip(UNCHARGED_BLOCKS).sum()
    }
}

/// A request of the engine to hold seconds for a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserve<'a> {
    /// Its name, as the engine calls it.
    pub(crate) session: &'a str,
    /// How many it wants.
    pub(crate) seconds: u64,
    /// Numbers the requests of a session.
    pub(crate) seq: Option<u64>,
}

/// What would come of a request.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// The totals to write down; equal to those before if nothing changes.
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

/// Why nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// No seconds are left.
    Exhausted,
    /// More sessions are open than anybody could have.
    TooManySessions,
}

impl Sessions {
    /// Up to `request.seconds`, or what is left of them. A repeat gets the answer it had.
    ///
    /// # Errors
    /// When not one second is left, or there are too many sessions.
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

    /// Ends a session: what it used is charged, the rest of what it held is free again.
    ///
    /// What was used beyond the reserve is charged as far as there are seconds; what was charged on
    /// the way ([`Sessions::charge_interim`]) is not given back, for the authority may know of it. A session that is
    /// unknown or settled changes nothing, and one of an earlier epoch was charged when that ended.
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

    /// Charges what running sessions have surely used, so that the authority hears of it and a session
    /// may be longer than the cache: who reserves more has used all but its latest blocks.
    pub(crate) fn charge_interim(&self, totals: Totals, epoch: u64) -> Update {
        let running = self.by_name.values().filter(|session| session.epoch == epoch);
        let seconds = running.map(Session::interim).sum::<u64>().min(totals.held);
        let totals =
            Totals { consumed: totals.consumed + seconds, held: totals.held - seconds, ..totals };
        Update { totals, seconds, change: (seconds > 0).then_some(Change::ChargeInterim { epoch }) }
    }

    /// Takes over what was written down. `now`: seconds since the machine started.
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

    /// A session whose engine is gone, with what it held: that is to be settled as used.
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
