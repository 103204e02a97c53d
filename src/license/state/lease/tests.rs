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

    fn reserve(&mut self, session: &str, seconds: u64, seq: Option<u64>) -> Result<u64, Refusal> {
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
