//! Every path, door, credential and state, against the rules of the contract: nobody gets in who must
//! not, whoever may does, and what is refused has changed nothing and reached nobody.

use crate::asks::{self, Ask};
use crate::cells::{Caller, Verdict, area_at, verdict};
use crate::credentials::{Credentials, odd_ones, plain_ones};
use crate::rules::{Api, Password, is_asked, right_password};
use crate::world::{Door, Kind, State, World};

/// One request and its verdict.
struct Cell {
    ask: Ask,
    credentials: Credentials,
    verdict: Verdict,
}

/// The cells of one door: all credentials in turn, so that each kind meets each area many times.
fn cells(api: Api, state: State, door: Door, turn: &mut usize) -> Vec<Cell> {
    let right = right_password(state.password);
    let (plain, odd) = (plain_ones(right), odd_ones(right));
    let tls = door.kind == Kind::Tls;
    let mut cells = Vec::new();
    for ask in asks::all(api) {
        let area = area_at(api, door, &ask);
        let asked = area.is_some_and(|area| is_asked(api, tls, state.password, area));
        let mut tried = plain.clone();
        for _ in 0..if asked { 2 } else { 1 } {
            tried.push(odd[*turn % odd.len()].clone());
            *turn += 1;
        }
        let is_shut = !tls && !state.plain_http;
        if is_shut && door.kind == Kind::Close {
            tried.drain(..plain.len() - 1); // a connection each
        }
        for credentials in tried {
            let verdict = verdict(api, state, door, &ask, &credentials);
            cells.push(Cell { ask: ask.clone(), credentials, verdict });
        }
    }
    cells
}

/// Tries them all at their door: first whatever must not get through, with bodies that would change
/// something, then whatever does, with bodies that its reader refuses.
fn try_all(world: &World, state: State, door: Door, cells: Vec<Cell>, faults: &mut Vec<String>) {
    let (open, shut): (Vec<Cell>, Vec<Cell>) =
        cells.into_iter().partition(|cell| matches!(cell.verdict, Verdict::Open(_)));
    let mut caller = Caller::at(door);
    let mut attempt = |cell: &Cell, body: &str| {
        let Cell { ask, credentials, verdict } = cell;
        if let Some(fault) = caller.fault(ask, body, credentials, verdict) {
            let (api, method, path) = (world.api, ask.method, &ask.path);
            let name = credentials.name;
            faults.push(format!(
                "{api:?}, {state:?}, {door:?}: {method} {path}, credentials: {name}; \
                 wanted {verdict:?}, got {fault}"
            ));
        }
    };

    let before = world.possessions();
    world.services.forget();
    for cell in &shut {
        let body = match cell.ask.effective {
            r#"{"enable_insecure_ports": true}"# if state.plain_http => {
                r#"{"enable_insecure_ports": false}"#
            }
            body => body,
        };
        attempt(cell, body);
    }
    assert_eq!(world.state(), state, "{:?}, {door:?}: a stranger changed something", world.api);
    assert!(world.possessions() == before, "{:?}, {state:?}, {door:?}: a file changed", world.api);
    let reached: Vec<String> =
        world.services.texts().into_iter().filter(|text| !text.is_empty()).collect();
    assert!(reached.is_empty(), "{:?}, {state:?}, {door:?} let through: {reached:?}", world.api);

    for cell in open.iter().filter(|cell| !cell.ask.open.is_empty()) {
        attempt(cell, cell.ask.harmless);
        if cell.ask.destroys && world.state() != state {
            world.enter(state);
        }
    }
    assert_eq!(world.state(), state, "{:?}, {door:?}: a harmless request did harm", world.api);
}

fn nobody_gets_in(api: Api, states: &[State]) {
    let world = World::start(api);
    let (mut turn, mut count, mut faults) = (0, 0, Vec::new());
    for state in states {
        world.enter(*state);
        for door in world.doors.clone() {
            // The two plain kinds differ, and the state of HTTP matters, only while it is off.
            let twin = match state.plain_http {
                true => door.kind == Kind::Redirect,
                false => door.kind == Kind::Tls,
            };
            if twin {
                continue;
            }
            let cells = cells(api, *state, door, &mut turn);
            count += cells.len();
            try_all(&world, *state, door, cells, &mut faults);
        }
    }
    println!("{api:?}: {count} cells, {} faults", faults.len());
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count > 2_000, "only {count} cells");
}

const fn state(password: Password, plain_http: bool) -> State {
    State { password, plain_http }
}

const STATES: [State; 5] = [
    state(Password::Unset, true),
    state(Password::Set, true),
    state(Password::Damaged, true),
    state(Password::Unset, false),
    state(Password::Set, false),
];

#[test]
fn nobody_gets_in_with_v1_alone() {
    nobody_gets_in(Api::V1, &STATES);
}

#[test]
fn nobody_gets_in_with_v2_alone() {
    let off = state(Password::Off, true);
    nobody_gets_in(Api::V2, &[&STATES[..], &[off]].concat());
}

#[test]
fn nobody_gets_in_with_both_mounted() {
    nobody_gets_in(Api::Both, &STATES);
}
