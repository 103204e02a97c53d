#![allow(clippy::unwrap_used)]

use super::model::{Chance, Client, sign, terms};
use super::{Context, FREE_MOVES, MONTH, Outcome, process};
use crate::authority::accounts::Accounts;
use crate::authority::idle_seats::{Ends, IdleSeats, Room};
use crate::authority::license::{DAY, License, Status, Terms};
use crate::authority::seat::PAGE;
use crate::license::protocol::claims::UNLIMITED;
use crate::license::protocol::message::{Denial, Kind, Mode, Op, Request};
use crate::util::utc;

struct World {
    accounts: Accounts,
    now: i64,
    chance: Chance,
    /// Days after which the seat of a silent appliance may be freed.
    free_after: Option<i64>,
    /// How often all seats were read for that.
    surveys: usize,
}

impl World {
    fn new(seats: i64, seconds: i64) -> World {
        let license = License::new(Terms { seats, ..terms() }, seconds);
        let accounts = Accounts::new(license);
        World { accounts, now: DAY, chance: Chance::new(1), free_after: None, surveys: 0 }
    }

    fn put(&mut self, client: &Client, request: &Request) -> Outcome {
        self.put_by(client, request, false)
    }

    fn put_by(&mut self, client: &Client, request: &Request, by_certificate: bool) -> Outcome {
        let ended_before = self.free_after.map(|days| self.now - days * DAY);
        let mut survey = None;
        loop {
            let context = Context {
                request,
                device: client.device,
                by_certificate,
                rate_limited: false,
                now: self.now,
                bundle: None,
                revoked: &[],
                idle: IdleSeats { ended_before, survey: survey.as_ref() },
            };
            let outcome = process(&mut self.accounts, &context, &sign);
            assert!(self.accounts.is_whole());
            if outcome.room != Room::Unknown {
                return outcome;
            }
            assert!(outcome.event.is_none() && survey.is_none());
            let mut ends = Ends::default();
            self.accounts.seats.values().for_each(|seat| ends.see(&self.accounts.license, seat));
            survey = Some(ends.survey(&self.accounts.license, ended_before.unwrap(), self.now));
            self.surveys += 1;
        }
    }

    fn request(&mut self, client: &Client, op: Op) -> Request {
        client.ask(op, self.chance.id())
    }

    /// Asks and takes the answer in; the kind of answer.
    fn ask(&mut self, client: &mut Client, op: Op) -> Kind {
        let request = self.request(client, op);
        let answer = self.put(client, &request).answer;
        client.take_in(op, &answer);
        answer.kind
    }

    fn denied(&mut self, client: &Client, request: &Request) -> Denial {
        let answer = self.put(client, request).answer;
        assert_eq!(answer.kind, Kind::Denied);
        answer.denial.unwrap()
    }
}

#[test]
fn what_is_returned_is_there_for_the_next_one() {
    let mut world = World::new(1, 70);
    let (mut first, mut second) = (Client::new(1), Client::new(2));
    world.ask(&mut first, Op::Activate);
    assert_eq!((first.granted, world.accounts.license.balance.left), (60, 10));
    let full = world.request(&second, Op::Activate);
    assert_eq!(world.denied(&second, &full), Denial::ActivationsExceeded);
    first.consumed = 20;
    let request = world.request(&first, Op::Return);
    assert_eq!(world.put(&first, &request).answer.returned, 40);
    assert_eq!(world.put(&first, &request).answer.returned, 40, "asked again");
    assert_eq!(world.ask(&mut second, Op::Activate), Kind::Lease);
    assert_eq!((second.granted, world.accounts.license.balance.left), (50, 0));
}

#[test]
fn a_denied_request_stays_denied_when_it_is_replayed() {
    let mut world = World::new(1, 1_000);
    let (mut first, second) = (Client::new(1), Client::new(2));
    world.ask(&mut first, Op::Activate);
    let full = world.request(&second, Op::Activate);
    assert_eq!(world.denied(&second, &full), Denial::ActivationsExceeded);
    world.accounts.license.status = Status::Suspended;
    let suspended = world.request(&first, Op::Sync);
    assert_eq!(world.denied(&first, &suspended), Denial::Suspended);
    world.accounts.license.status = Status::Active;
    let before = world.accounts.clone();
    assert_eq!(world.denied(&first, &suspended), Denial::Suspended);
    assert_eq!(world.accounts, before);
    assert_eq!(world.ask(&mut first, Op::Sync), Kind::Lease);
    world.ask(&mut first, Op::Return);
    assert_eq!(world.denied(&second, &full), Denial::ActivationsExceeded);
    assert_eq!(world.accounts.open_seats().count(), 0);
}

#[test]
fn a_suspended_revoked_or_expired_license_grants_nothing_and_takes_back() {
    for (status, days, denial) in [
        (Status::Suspended, 0, Denial::Suspended),
        (Status::Revoked, 0, Denial::Revoked),
        (Status::Active, 10_007, Denial::Expired),
    ] {
        let mut world = World::new(2, 1_000);
        let mut client = Client::new(1);
        world.ask(&mut client, Op::Activate);
        world.accounts.license.status = status;
        world.now += days * DAY;
        for op in [Op::Sync, Op::Activate] {
            let request = world.request(&client, op);
            assert_eq!(world.denied(&client, &request), denial);
        }
        assert_eq!(world.ask(&mut client, Op::Return), Kind::Returned);
        assert_eq!(world.accounts.license.balance.left, 1_000);
    }
}

#[test]
fn grace_is_as_good_as_the_subscription() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.now = 10_000 * DAY + 7 * DAY - 1;
    assert_eq!(world.ask(&mut client, Op::Activate), Kind::Lease);
}

#[test]
fn totals_that_cannot_be_close_the_epoch_and_are_charged() {
    for consumed in [4, 61] {
        let mut world = World::new(1, 1_000);
        let mut client = Client::new(1);
        world.ask(&mut client, Op::Activate);
        client.consumed = 5;
        world.ask(&mut client, Op::Sync);
        client.consumed = consumed + 5 * i64::from(consumed > 60);
        assert_eq!(world.ask(&mut client, Op::Sync), Kind::Reset);
        assert_eq!((client.epoch, client.granted, client.consumed), (2, 60, 0));
        assert_eq!(world.accounts.license.balance.charged, 65, "the whole of the first epoch");
    }
}

#[test]
fn a_restored_snapshot_costs_one_lease_and_goes_on_by_itself() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    let mut snapshot = client.clone();
    client.consumed = 30;
    world.ask(&mut client, Op::Sync);
    assert_eq!(world.ask(&mut snapshot, Op::Sync), Kind::Reset);
    assert_eq!(world.accounts.license.balance.charged, 90);
    let request = world.request(&client, Op::Sync);
    assert_eq!(world.denied(&client, &request), Denial::Duplicate, "the other copy is out");
    assert_eq!(world.ask(&mut snapshot, Op::Sync), Kind::Lease);
}

#[test]
fn a_seat_can_be_taken_over_three_times_a_month() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    let reinstalled = |number| {
        let mut client = Client::new(u8::try_from(10 + number).unwrap());
        client.computer_id = Client::new(1).computer_id;
        client
    };
    for number in 0..FREE_MOVES {
        world.now += 1;
        assert_eq!(world.ask(&mut reinstalled(number), Op::Activate), Kind::Lease);
        assert_eq!(world.accounts.open_seats().count(), 1);
    }
    let fourth = reinstalled(FREE_MOVES);
    let request = world.request(&fourth, Op::Activate);
    for _ in 0..2 {
        let answer = world.put(&fourth, &request).answer;
        assert_eq!(answer.denial, Some(Denial::TooManyTakeovers));
        let date = utc::format(DAY + 1 + MONTH); // the second activation was the first takeover
        assert!(answer.message.contains(&format!("free again on {date}")), "{answer:?}");
    }
    world.now = DAY + 1 + MONTH;
    assert_eq!(world.ask(&mut reinstalled(FREE_MOVES), Op::Activate), Kind::Lease);
}

#[test]
fn activating_again_with_nothing_lost_costs_nothing() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    for _ in 0..10 {
        client.consumed = 7;
        assert_eq!(world.ask(&mut client, Op::Activate), Kind::Lease);
    }
    assert_eq!(world.accounts.license.balance.charged, 70);
}

#[test]
fn a_moved_machine_keeps_its_seat_and_the_copy_left_behind_does_not() {
    let mut world = World::new(1, 1_000);
    let mut original = Client::new(1);
    world.ask(&mut original, Op::Activate);
    let mut moved = original.clone();
    let move_to = |client: &mut Client, world: &mut World, number: u8| {
        let from = client.computer_id.clone();
        client.computer_id = Client::new(number).computer_id;
        let mut request = world.request(client, Op::Sync);
        request.prev_computer_id = Some(from);
        let answer = world.put(client, &request).answer;
        client.take_in(Op::Sync, &answer);
        answer.kind
    };
    assert_eq!(move_to(&mut moved, &mut world, 7), Kind::Lease);
    let request = world.request(&original, Op::Sync);
    assert_eq!(world.denied(&original, &request), Denial::Duplicate);
    for number in 8..10 {
        assert_eq!(move_to(&mut moved, &mut world, number), Kind::Lease);
    }
    assert_eq!(move_to(&mut moved, &mut world, 10), Kind::Denied, "the fourth in a month");
    assert_eq!(world.accounts.license.balance.charged, 0);
}

#[test]
fn offline_grants_what_the_license_says_and_only_where_it_allows_it() {
    let mut world = World::new(1, 1_000);
    let client = Client::new(1);
    let mut request = world.request(&client, Op::Activate);
    request.mode = Mode::Offline;
    let outcome = world.put_by(&client, &request, true);
    let token = outcome.answer.token.unwrap();
    assert!(token.starts_with("license-cert|") && token.contains("\"granted\":500,"), "{token}");
    let again = world.put_by(&client, &request, true);
    assert_eq!((again.answer.token, again.event), (Some(token), None));

    let mut other = World::new(1, 1_000);
    other.accounts.license.terms.offline = false;
    assert_eq!(other.denied(&client, &request), Denial::OfflineNotAllowed);
}

#[test]
fn an_offline_renewal_with_a_lower_total_is_refused_and_nothing_is_charged() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    client.consumed = 30;
    world.ask(&mut client, Op::Sync);
    client.consumed = 29;
    let request = world.request(&client, Op::Sync);
    let answer = world.put_by(&client, &request, true).answer;
    assert_eq!(answer.denial, Some(Denial::WentBack));
    assert_eq!(world.accounts.license.balance.charged, 0);
}

#[test]
fn an_unlimited_license_counts_beyond_2_to_the_31_seconds() {
    let mut world = World::new(1, UNLIMITED);
    world.accounts.license.terms.cache = UNLIMITED;
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    for _ in 0..5 {
        client.consumed = client.granted;
        assert_eq!(world.ask(&mut client, Op::Sync), Kind::Lease);
    }
    assert_eq!(client.granted, 6 * UNLIMITED);
    assert_eq!(
        (world.accounts.license.balance.left, world.accounts.license.used()),
        (UNLIMITED, 5 * UNLIMITED)
    );
    world.ask(&mut client, Op::Return);
    assert_eq!(world.accounts.license.used(), 5 * UNLIMITED);
}

#[test]
fn an_answered_request_is_known_however_old_it_is() {
    let mut world = World::new(1, 1_000);
    let mut client = Client::new(1);
    world.ask(&mut client, Op::Activate);
    let mut captured = Vec::new();
    for _ in 0..3 * PAGE {
        let request = world.request(&client, Op::Sync);
        let answer = world.put(&client, &request).answer;
        client.take_in(Op::Sync, &answer);
        captured.push(request);
    }
    let newest = captured.pop().unwrap();
    assert_eq!(world.put(&client, &newest).answer.kind, Kind::Lease);
    let before = world.accounts.clone();
    assert_eq!((before.answered.len(), before.seats[&client.device].answered.len()), (3, 1));
    for request in &captured {
        assert_eq!(world.put(&client, request).answer.kind, Kind::Stale, "{}", request.seq);
    }
    assert_eq!(world.accounts, before);
}

#[test]
fn an_activation_that_another_one_stands_in_for_takes_nothing_however_late_it_comes() {
    for heard_first in [false, true] {
        let mut world = World::new(1, 1_000);
        let mut client = Client::new(1);
        let swallowed = world.request(&client, Op::Activate);
        if heard_first {
            world.put(&client, &swallowed);
        }
        let mut by_certificate = world.request(&client, Op::Activate);
        by_certificate.instead_of = Some(swallowed.req_id);
        let answer = world.put_by(&client, &by_certificate, true).answer;
        client.take_in(Op::Activate, &answer);
        assert_eq!(world.accounts.open_seats().count(), 1);
        assert_eq!(world.accounts.license.balance.charged, if heard_first { 60 } else { 0 });
        let before = world.accounts.clone();
        assert_eq!(world.put(&client, &swallowed).answer.kind, Kind::Stale);
        assert_eq!(world.accounts, before);
        client.consumed = 7;
        assert_eq!(world.ask(&mut client, Op::Sync), Kind::Lease, "the accounts go on");
    }
}

mod idle_seats;
