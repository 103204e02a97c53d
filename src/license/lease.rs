//! Counting seconds: running totals, and what the sessions of the speech engine hold of them.
//!
//! Everything is a total, never a difference, so that a message applied twice changes nothing. Pure:
//! each call looks at the state and says what the next one would be; the worker writes that to disk
//! before it takes it over with [`Sessions::take_in`].

use std::collections::{BTreeMap, VecDeque};

/// Totals of one epoch, in seconds; `consumed + held` is never above `granted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What the authority has handed out.
    pub granted: u64,
    /// What was used up, and is told to the authority.
    pub consumed: u64,
    /// What running sessions have reserved.
    pub held: u64,
}

impl Totals {
    /// What may still be reserved.
    pub fn allowed(&self) -> u64 {
        self.granted.saturating_sub(self.consumed).saturating_sub(self.held)
    }

    /// Nobody is left who could settle what is held: it counts as used.
    pub fn charge_held(self) -> Totals {
        Totals { consumed: self.consumed.saturating_add(self.held), held: 0, ..self }
    }
}

/// Sessions open at the same time; an engine that needs more has lost count of them.
const MOST_OPEN: usize = 4_096;

/// Settled sessions remembered, so that a late repeat changes nothing.
const MOST_SETTLED: usize = 256;

/// Reserves remembered of one session, newest first to stay.
const MOST_ANSWERS: usize = 4_096;

/// Latest reserves of a session that it may not have used yet; what came before them it has.
const UNRIPE: usize = 2;

/// A session that asked for nothing in so many seconds has lost its engine.
const FORGOTTEN: u64 = 24 * 3_600;

/// Who holds what. Not kept on disk: what is held when the process ends was used, as far as anybody
/// can know (at most one block a session).
#[derive(Debug, Default)]
pub struct Sessions {
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
    fn ripe(&self) -> u64 {
        self.blocks.iter().rev().skip(UNRIPE).sum()
    }
}

/// A request of the engine to hold seconds for a session.
#[derive(Debug, Clone, Copy)]
pub struct Reserve<'a> {
    /// Its name, as the engine calls it.
    pub session: &'a str,
    /// How many it wants.
    pub seconds: u64,
    /// Numbers the requests of a session.
    pub seq: Option<u64>,
}

/// What would come of a request.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The totals to write down; equal to those before if nothing changes.
    pub totals: Totals,
    /// Seconds granted (reserve) or charged (settle).
    pub seconds: u64,
    change: Option<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Hold { session: String, seq: Option<u64>, epoch: u64 },
    End { session: String },
    Ripen { epoch: u64 },
}

/// Why nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
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
    pub fn reserve(
        &self,
        totals: Totals,
        epoch: u64,
        request: Reserve<'_>,
    ) -> Result<Next, Refusal> {
        let known = self.by_name.get(request.session);
        if let (Some(session), Some(seq)) = (known, request.seq)
            && let Some(granted) = session.answers.get(&seq)
        {
            return Ok(Next { totals, seconds: *granted, change: None });
        }
        if known.is_none() && self.by_name.len() - self.settled.len() >= MOST_OPEN {
            return Err(Refusal::TooManySessions);
        }
        let granted = request.seconds.min(totals.allowed());
        if granted == 0 {
            return Err(Refusal::Exhausted);
        }
        let session = request.session.to_owned();
        Ok(Next {
            totals: Totals { held: totals.held + granted, ..totals },
            seconds: granted,
            change: Some(Change::Hold { session, seq: request.seq, epoch }),
        })
    }

    /// Ends a session: what it used is charged, the rest of what it held is free again.
    ///
    /// What was used beyond the reserve is charged as far as there are seconds; what was charged on
    /// the way ([`Sessions::ripen`]) is not given back, for the authority may know of it. A session that is
    /// unknown or settled changes nothing, and one of an earlier epoch was charged when that ended.
    pub fn settle(&self, totals: Totals, epoch: u64, session: &str, used: u64) -> Next {
        let unchanged = Next { totals, seconds: 0, change: None };
        let Some(found) = self.by_name.get(session).filter(|found| !found.settled) else {
            return unchanged;
        };
        let change = Some(Change::End { session: session.to_owned() });
        if found.epoch != epoch {
            return Next { change, ..unchanged };
        }
        let free = Totals { held: totals.held.saturating_sub(found.held()), ..totals };
        let charged = used.saturating_sub(found.charged).min(free.allowed());
        Next {
            totals: Totals { consumed: free.consumed + charged, ..free },
            seconds: charged,
            change,
        }
    }

    /// Charges what running sessions have surely used, so that the authority hears of it and a session
    /// may be longer than the cache: who reserves more has used all but its latest blocks.
    pub fn ripen(&self, totals: Totals, epoch: u64) -> Next {
        let running = self.by_name.values().filter(|session| session.epoch == epoch);
        let seconds = running.map(Session::ripe).sum::<u64>().min(totals.held);
        let totals =
            Totals { consumed: totals.consumed + seconds, held: totals.held - seconds, ..totals };
        Next { totals, seconds, change: (seconds > 0).then_some(Change::Ripen { epoch }) }
    }

    /// Takes over what was written down. `now`: seconds since the machine started.
    pub fn take_in(&mut self, next: &Next, now: u64) {
        match &next.change {
            None => {}
            Some(Change::Ripen { epoch }) => self.ripened(*epoch),
            Some(Change::Hold { session, seq, epoch }) => {
                let entry = self.by_name.entry(session.clone()).or_default();
                if entry.settled || entry.epoch != *epoch {
                    self.settled.retain(|name| name != session);
                    *entry = Session { epoch: *epoch, ..Session::default() };
                }
                entry.blocks.push_back(next.seconds);
                if entry.blocks.len() > MOST_ANSWERS {
                    let oldest = entry.blocks.pop_front().unwrap_or(0);
                    if let Some(next) = entry.blocks.front_mut() {
                        *next += oldest;
                    }
                }
                entry.active = now;
                if let Some(seq) = seq {
                    entry.answers.insert(*seq, next.seconds);
                    if entry.answers.len() > MOST_ANSWERS {
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
                if self.settled.len() > MOST_SETTLED
                    && let Some(oldest) = self.settled.pop_front()
                {
                    self.by_name.remove(&oldest);
                }
            }
        }
    }

    fn ripened(&mut self, epoch: u64) {
        for session in self.by_name.values_mut().filter(|session| session.epoch == epoch) {
            let ripe = session.ripe();
            session.charged += ripe;
            let kept = session.blocks.len().saturating_sub(UNRIPE);
            session.blocks.drain(..kept);
        }
    }

    /// A session whose engine is gone, with what it held: that is to be settled as used.
    pub fn forgotten(&self, now: u64) -> Option<(String, u64)> {
        self.by_name
            .iter()
            .find(|(_, session)| !session.settled && now.saturating_sub(session.active) > FORGOTTEN)
            .map(|(name, session)| (name.clone(), session.charged + session.held()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{FORGOTTEN, MOST_SETTLED, Next, Refusal, Reserve, Sessions, Totals};

    struct World {
        totals: Totals,
        sessions: Sessions,
        epoch: u64,
    }

    impl World {
        fn new(granted: u64) -> World {
            let totals = Totals { granted, ..Totals::default() };
            World { totals, sessions: Sessions::default(), epoch: 1 }
        }

        fn reserve(
            &mut self,
            session: &str,
            seconds: u64,
            seq: Option<u64>,
        ) -> Result<u64, Refusal> {
            let request = Reserve { session, seconds, seq };
            let next = self.sessions.reserve(self.totals, self.epoch, request)?;
            Ok(self.take(&next))
        }

        fn settle(&mut self, session: &str, used: u64) -> u64 {
            let next = self.sessions.settle(self.totals, self.epoch, session, used);
            self.take(&next)
        }

        fn take(&mut self, next: &Next) -> u64 {
            self.sessions.take_in(next, 0);
            self.totals = next.totals;
            assert!(self.totals.consumed + self.totals.held <= self.totals.granted);
            next.seconds
        }

        fn totals(&self) -> (u64, u64, u64) {
            (self.totals.consumed, self.totals.held, self.totals.allowed())
        }
    }

    #[test]
    fn what_a_session_does_not_use_comes_back() {
        let mut world = World::new(100);
        assert_eq!(world.reserve("a", 30, Some(1)), Ok(30));
        assert_eq!(world.reserve("a", 30, Some(2)), Ok(30));
        assert_eq!(world.totals(), (0, 60, 40));
        assert_eq!(world.settle("a", 45), 45);
        assert_eq!(world.totals(), (45, 0, 55));
    }

    #[test]
    fn repeats_change_nothing() {
        let mut world = World::new(100);
        assert_eq!(world.reserve("a", 30, Some(1)), Ok(30));
        assert_eq!(world.reserve("a", 30, Some(1)), Ok(30));
        assert_eq!(world.totals(), (0, 30, 70));
        world.settle("a", 10);
        assert_eq!(world.settle("a", 30), 0);
        assert_eq!(world.reserve("a", 30, Some(1)), Ok(30));
        assert_eq!(world.settle("nobody", 30), 0);
        assert_eq!(world.totals(), (10, 0, 90));
    }

    #[test]
    fn the_last_seconds_are_granted_and_then_none() {
        let mut world = World::new(40);
        assert_eq!(world.reserve("a", 30, None), Ok(30));
        assert_eq!(world.reserve("b", 30, None), Ok(10));
        assert_eq!(world.reserve("b", 30, None), Err(Refusal::Exhausted));
        assert_eq!(world.settle("a", 99), 30, "no more than there is");
        assert_eq!(world.totals(), (30, 10, 0));
    }

    #[test]
    fn what_an_earlier_epoch_held_is_not_given_back_twice() {
        let mut world = World::new(100);
        assert_eq!(world.reserve("a", 30, None), Ok(30));
        (world.epoch, world.totals) = (2, Totals { granted: 50, ..Totals::default() });
        world.settle("a", 10);
        assert_eq!(world.totals(), (0, 0, 50));
    }

    #[test]
    fn a_name_may_be_used_again_after_its_session() {
        let mut world = World::new(100);
        for _ in 0..3 {
            assert_eq!(world.reserve("a", 10, None), Ok(10));
            assert_eq!(world.settle("a", 5), 5);
        }
        assert_eq!(world.totals(), (15, 0, 85));
    }

    #[test]
    fn a_long_session_is_charged_as_it_goes_and_only_once() {
        let mut world = World::new(100);
        for seq in 1..=5 {
            assert_eq!(world.reserve("a", 10, Some(seq)), Ok(10));
        }
        let next = world.sessions.ripen(world.totals, world.epoch);
        assert_eq!(world.take(&next), 30);
        assert_eq!(world.totals(), (30, 20, 50));
        let again = world.sessions.ripen(world.totals, world.epoch);
        assert_eq!((again.seconds, again.totals), (0, world.totals));
        assert_eq!(world.settle("a", 44), 14);
        assert_eq!(world.totals(), (44, 0, 56));
    }

    #[test]
    fn what_is_held_at_a_crash_counts_as_used() {
        let totals = Totals { granted: 100, consumed: 20, held: 30 }.charge_held();
        assert_eq!(totals, Totals { granted: 100, consumed: 50, held: 0 });
    }

    #[test]
    fn memory_has_an_end() {
        let mut world = World::new(u64::MAX);
        for number in 0..MOST_SETTLED + 50 {
            let name = number.to_string();
            assert_eq!(world.reserve(&name, 1, None), Ok(1));
            world.settle(&name, 1);
        }
        assert_eq!(world.sessions.by_name.len(), MOST_SETTLED);
        for number in 0..super::MOST_OPEN {
            world.reserve(&format!("open {number}"), 1, None).unwrap();
        }
        assert_eq!(world.reserve("one more", 1, None), Err(Refusal::TooManySessions));
    }

    #[test]
    fn a_session_without_an_engine_is_found() {
        let mut world = World::new(100);
        world.reserve("a", 30, None).unwrap();
        assert_eq!(world.sessions.forgotten(FORGOTTEN), None);
        assert_eq!(world.sessions.forgotten(FORGOTTEN + 1), Some(("a".to_owned(), 30)));
    }

    /// No order of reserves and settles, repeats included, makes or loses a second.
    #[test]
    fn any_order_of_calls_keeps_the_sum() {
        let mut random = 1_u64;
        let mut draw = |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % most
        };
        for _ in 0..500 {
            let mut world = World::new(500);
            let mut charged = 0;
            for _ in 0..60 {
                let name = draw(5).to_string();
                if draw(2) == 0 {
                    let _ = world.reserve(&name, 1 + draw(60), Some(draw(8)));
                } else {
                    charged += world.settle(&name, draw(80));
                }
                assert_eq!(world.totals.consumed, charged);
            }
            for name in 0..5 {
                world.settle(&name.to_string(), 0);
            }
            assert_eq!(world.totals(), (charged, 0, 500 - charged));
        }
    }
}
