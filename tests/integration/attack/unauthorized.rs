//! Every path, listener, credential and state, against `rules.rs`: no one gets in who must
//! not, whoever may does, and what is refused has changed nothing and reached nobody.

use crate::attack::cases::{Caller, Verdict, area_at, verdict};
use crate::attack::credentials::{Credentials, odd_ones, plain_ones};
use crate::attack::fixture::{Fixture, Kind, Listener, State};
use crate::attack::requests::{self, Request};
use crate::attack::rules::{Api, Password, is_asked, right_password};

/// One request and its verdict.
struct Case {
    request: Request,
    credentials: Credentials,
    verdict: Verdict,
}

/// The cases of one listener: all credentials in turn, so that each kind meets each area many times.
fn cases(api: Api, state: State, listener: Listener, turn: &mut usize) -> Vec<Case> {
    let right = right_password(state.password);
    let (plain, odd) = (plain_ones(right), odd_ones(right));
    let tls = listener.kind == Kind::Tls;
    let mut cases = Vec::new();
    for request in requests::all(api) {
        let area = area_at(api, listener, &request);
        let asked = area.is_some_and(|area| is_asked(api, tls, state.password, area));
        let mut tried = plain.clone();
        for _ in 0..if asked { 2 } else { 1 } {
            tried.push(odd[*turn % odd.len()].clone());
            *turn += 1;
        }
        let is_shut = !tls && !state.plain_http;
        if is_shut && listener.kind == Kind::Close {
            tried.drain(..plain.len() - 1); // a connection each
        }
        for credentials in tried {
            let verdict = verdict(api, state, listener, &request, &credentials);
            cases.push(Case { request: request.clone(), credentials, verdict });
        }
    }
    cases
}

/// Tries them all at their listener: first whatever must not get through, with bodies that would change
/// something, then whatever does, with bodies that its reader refuses.
fn try_all(
    fixture: &Fixture,
    state: State,
    listener: Listener,
    cases: Vec<Case>,
    faults: &mut Vec<String>,
) {
    let (open, shut): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| matches!(case.verdict, Verdict::Open(_)));
    let mut caller = Caller::at(listener);
    let mut attempt = |case: &Case, body: &str| {
        let Case { request, credentials, verdict } = case;
        if let Some(fault) = caller.fault(request, body, credentials, verdict) {
            let (api, method, path) = (fixture.api, request.method, &request.path);
            let name = credentials.name;
            faults.push(format!(
                "{api:?}, {state:?}, {listener:?}: {method} {path}, credentials: {name}; \
                 wanted {verdict:?}, got {fault}"
            ));
        }
    };

    let before = fixture.possessions();
    fixture.services.forget();
    for case in &shut {
        let body = match case.request.effective {
            r#"{"enable_insecure_ports": true}"# if state.plain_http => {
                r#"{"enable_insecure_ports": false}"#
            }
            body => body,
        };
        attempt(case, body);
    }
    assert_eq!(
        fixture.state(),
        state,
        "{:?}, {listener:?}: a stranger changed something",
        fixture.api
    );
    assert!(
        fixture.possessions() == before,
        "{:?}, {state:?}, {listener:?}: a file changed",
        fixture.api
    );
    let reached: Vec<String> =
        fixture.services.texts().into_iter().filter(|text| !text.is_empty()).collect();
    assert!(
        reached.is_empty(),
        "{:?}, {state:?}, {listener:?} let through: {reached:?}",
        fixture.api
    );

    for case in open.iter().filter(|case| !case.request.open.is_empty()) {
        attempt(case, case.request.harmless);
        if case.request.destroys && fixture.state() != state {
            fixture.enter(state);
        }
    }
    assert_eq!(
        fixture.state(),
        state,
        "{:?}, {listener:?}: a harmless request did harm",
        fixture.api
    );
}

fn try_everything(api: Api, states: &[State]) {
    let fixture = Fixture::start(api);
    let (mut turn, mut count, mut faults) = (0, 0, Vec::new());
    for state in states {
        fixture.enter(*state);
        for listener in fixture.listeners.clone() {
            // The two plain kinds differ, and the state of HTTP matters, only while it is off.
            let twin = match state.plain_http {
                true => listener.kind == Kind::Redirect,
                false => listener.kind == Kind::Tls,
            };
            if twin {
                continue;
            }
            let cases = cases(api, *state, listener, &mut turn);
            count += cases.len();
            try_all(&fixture, *state, listener, cases, &mut faults);
        }
    }
    println!("{api:?}: {count} cases, {} faults", faults.len());
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count > 2_000, "only {count} cases");
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
    try_everything(Api::V1, &STATES);
}

#[test]
fn nobody_gets_in_with_v2_alone() {
    let off = state(Password::Off, true);
    try_everything(Api::V2, &[&STATES[..], &[off]].concat());
}

#[test]
fn nobody_gets_in_with_both_mounted() {
    try_everything(Api::Both, &STATES);
}
