#![allow(clippy::unwrap_used)]

use super::{ABANDONED_AFTER, MAX_SETTLED, Reserve, ReserveError, Sessions, Totals, Update};

struct Fixture {
    totals: Totals,
    sessions: Sessions,
    epoch: u64,
}

impl Fixture {
    fn new(granted: u64) -> Fixture {
        let totals = Totals { granted, ..Totals::default() };
        Fixture { totals, sessions: Sessions::default(), epoch: 1 }
    }

    fn reserve(
        &mut self,
        session: &str,
        seconds: u64,
        seq: Option<u64>,
    ) -> Result<u64, ReserveError> {
        let request = Reserve { session, seconds, seq };
        let next = self.sessions.reserve(self.totals, self.epoch, request)?;
        Ok(self.take(&next))
    }

    fn settle(&mut self, session: &str, used: u64) -> u64 {
        let next = self.sessions.settle(self.totals, self.epoch, session, used);
        self.take(&next)
    }

    fn take(&mut self, next: &Update) -> u64 {
        self.sessions.apply(next, 0);
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
    let mut fixture = Fixture::new(100);
    assert_eq!(fixture.reserve("a", 30, Some(1)), Ok(30));
    assert_eq!(fixture.reserve("a", 30, Some(2)), Ok(30));
    assert_eq!(fixture.totals(), (0, 60, 40));
    assert_eq!(fixture.settle("a", 45), 45);
    assert_eq!(fixture.totals(), (45, 0, 55));
}

#[test]
fn repeats_change_nothing() {
    let mut fixture = Fixture::new(100);
    assert_eq!(fixture.reserve("a", 30, Some(1)), Ok(30));
    assert_eq!(fixture.reserve("a", 30, Some(1)), Ok(30));
    assert_eq!(fixture.totals(), (0, 30, 70));
    fixture.settle("a", 10);
    assert_eq!(fixture.settle("a", 30), 0);
    assert_eq!(fixture.reserve("a", 30, Some(1)), Ok(30));
    assert_eq!(fixture.settle("nobody", 30), 0);
    assert_eq!(fixture.totals(), (10, 0, 90));
}

#[test]
fn the_last_seconds_are_granted_and_then_none() {
    let mut fixture = Fixture::new(40);
    assert_eq!(fixture.reserve("a", 30, None), Ok(30));
    assert_eq!(fixture.reserve("b", 30, None), Ok(10));
    assert_eq!(fixture.reserve("b", 30, None), Err(ReserveError::Exhausted));
    assert_eq!(fixture.settle("a", 99), 30, "no more than there is");
    assert_eq!(fixture.totals(), (30, 10, 0));
}

#[test]
fn what_an_earlier_epoch_held_is_not_given_back_twice() {
    let mut fixture = Fixture::new(100);
    assert_eq!(fixture.reserve("a", 30, None), Ok(30));
    (fixture.epoch, fixture.totals) = (2, Totals { granted: 50, ..Totals::default() });
    fixture.settle("a", 10);
    assert_eq!(fixture.totals(), (0, 0, 50));
}

#[test]
fn a_name_may_be_used_again_after_its_session() {
    let mut fixture = Fixture::new(100);
    for _ in 0..3 {
        assert_eq!(fixture.reserve("a", 10, None), Ok(10));
        assert_eq!(fixture.settle("a", 5), 5);
    }
    assert_eq!(fixture.totals(), (15, 0, 85));
}

#[test]
fn a_long_session_is_charged_as_it_goes_and_only_once() {
    let mut fixture = Fixture::new(100);
    for seq in 1..=5 {
        assert_eq!(fixture.reserve("a", 10, Some(seq)), Ok(10));
    }
    let next = fixture.sessions.charge_interim(fixture.totals, fixture.epoch);
    assert_eq!(fixture.take(&next), 30);
    assert_eq!(fixture.totals(), (30, 20, 50));
    let again = fixture.sessions.charge_interim(fixture.totals, fixture.epoch);
    assert_eq!((again.seconds, again.totals), (0, fixture.totals));
    assert_eq!(fixture.settle("a", 44), 14);
    assert_eq!(fixture.totals(), (44, 0, 56));
}

#[test]
fn what_is_held_at_a_crash_counts_as_used() {
    let totals = Totals { granted: 100, consumed: 20, held: 30 }.charge_held();
    assert_eq!(totals, Totals { granted: 100, consumed: 50, held: 0 });
}

#[test]
fn memory_has_an_end() {
    let mut fixture = Fixture::new(u64::MAX);
    for number in 0..MAX_SETTLED + 50 {
        let name = number.to_string();
        assert_eq!(fixture.reserve(&name, 1, None), Ok(1));
        fixture.settle(&name, 1);
    }
    assert_eq!(fixture.sessions.by_name.len(), MAX_SETTLED);
    for number in 0..super::MAX_OPEN {
        fixture.reserve(&format!("open {number}"), 1, None).unwrap();
    }
    assert_eq!(fixture.reserve("one more", 1, None), Err(ReserveError::TooManySessions));
}

#[test]
fn a_session_without_an_engine_is_found() {
    let mut fixture = Fixture::new(100);
    fixture.reserve("a", 30, None).unwrap();
    assert_eq!(fixture.sessions.abandoned(ABANDONED_AFTER), None);
    assert_eq!(fixture.sessions.abandoned(ABANDONED_AFTER + 1), Some(("a".to_owned(), 30)));
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
        let mut fixture = Fixture::new(500);
        let mut charged = 0;
        for _ in 0..60 {
            let name = draw(5).to_string();
            if draw(2) == 0 {
                let _ = fixture.reserve(&name, 1 + draw(60), Some(draw(8)));
            } else {
                charged += fixture.settle(&name, draw(80));
            }
            assert_eq!(fixture.totals.consumed, charged);
        }
        for name in 0..5 {
            fixture.settle(&name.to_string(), 0);
        }
        assert_eq!(fixture.totals(), (charged, 0, 500 - charged));
    }
}
