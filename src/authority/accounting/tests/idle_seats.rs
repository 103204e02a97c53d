//! Seats of silent appliances.

use super::super::model::Client;
use super::{Outcome, World};
use crate::authority::idle_seats::{Freed, Room};
use crate::authority::license::DAY;
use crate::license::protocol::message::{Denial, Kind, Mode, Op};

#[test]
fn a_seat_that_is_silent_long_after_its_lease_is_freed_for_one_more() {
    let mut world = World::new(2, 1_000);
    world.free_after = Some(30);
    let mut clients: Vec<Client> = (1..=5).map(Client::new).collect();
    let start = world.now;
    world.ask(&mut clients[0], Op::Activate);
    world.now += DAY;
    world.ask(&mut clients[1], Op::Activate);
    world.now = start + 60 * DAY;
    let early = world.request(&clients[2], Op::Activate);
    assert_eq!(world.denied(&clients[2], &early), Denial::ActivationsExceeded, "a second early");
    world.now += 1;
    assert_eq!(world.denied(&clients[2], &early), Denial::ActivationsExceeded, "it is a replay");
    let request = world.request(&clients[2], Op::Activate);
    let Outcome { answer, event, room, .. } = world.put(&clients[2], &request);
    assert_eq!((answer.kind, event), (Kind::Lease, Some("activated")));
    let computer_id = clients[0].computer_id.clone();
    assert_eq!(room, Room::Freed(Freed { computer_id, charged: 60, last_contact: start }));
    assert_eq!(world.accounts.license.balance.charged, 60);
    for op in [Op::Sync, Op::Return] {
        let back = world.request(&clients[0], op);
        assert_eq!(world.denied(&clients[0], &back), Denial::Duplicate);
    }
    // The second one comes back in time and keeps its seat.
    world.now += 2 * DAY;
    assert_eq!(world.ask(&mut clients[1], Op::Sync), Kind::Lease);
    let none = world.request(&clients[3], Op::Activate);
    assert_eq!(world.denied(&clients[3], &none), Denial::ActivationsExceeded);
}

#[test]
fn without_such_a_policy_no_seat_is_freed_and_none_is_read() {
    let mut world = World::new(1, 1_000);
    world.ask(&mut Client::new(1), Op::Activate);
    world.now += 9_000 * DAY;
    let other = Client::new(2);
    let request = world.request(&other, Op::Activate);
    assert_eq!(world.denied(&other, &request), Denial::ActivationsExceeded);
    assert_eq!(world.surveys, 0);
}

#[test]
fn an_offline_appliance_keeps_its_seat_however_long_it_is_silent() {
    for by_certificate in [false, true] {
        let mut world = World::new(1, 1_000);
        world.free_after = Some(0);
        let client = Client::new(1);
        let mut request = world.request(&client, Op::Activate);
        if !by_certificate {
            request.mode = Mode::Offline;
        }
        assert_eq!(world.put_by(&client, &request, by_certificate).answer.kind, Kind::Lease);
        world.now += 9_000 * DAY;
        let other = Client::new(2);
        let request = world.request(&other, Op::Activate);
        assert_eq!(world.denied(&other, &request), Denial::ActivationsExceeded);
    }
}

#[test]
fn the_seats_of_a_full_license_are_read_once_until_one_can_be_free() {
    let mut world = World::new(2, 1_000);
    (world.free_after, world.now) = (Some(30), 100 * DAY);
    let mut clients: Vec<Client> = (1..=3).map(Client::new).collect();
    clients[..2].iter_mut().for_each(|client| {
        world.ask(client, Op::Activate);
    });
    let refuse = |world: &mut World, wanted| {
        let request = world.request(&clients[2], Op::Activate);
        assert_eq!(world.denied(&clients[2], &request), Denial::ActivationsExceeded);
        assert_eq!(world.surveys, wanted, "at {}", world.now / DAY);
    };
    refuse(&mut world, 1);
    // Nobody knows yet that both leases end later than before.
    for (day, surveys) in [(1, 1), (59, 1), (60, 1)] {
        world.now = (100 + day) * DAY;
        refuse(&mut world, surveys);
    }
    world.accounts.license.terms.lease = 300 * DAY;
    world.now += 1;
    (0..3).for_each(|_| refuse(&mut world, 2));
    world.now += 240 * DAY - 1;
    (0..3).for_each(|_| refuse(&mut world, 2));
}
