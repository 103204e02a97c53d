//! Every path and listener, from every address and behind every proxy of `ways.rs`: who may not come gets
//! nothing, reaches nobody and changes nothing, whatever it claims; who may is served as without these settings.

use serde_json::{Value, json};

use crate::attack::cases::{Verdict, area_at, fits, path_at, text, verdict};
use crate::attack::credentials::{Credentials, plain_ones};
use crate::attack::fixture::{Fixture, Kind, Listener, Serves, State};
use crate::attack::requests::{self, Request};
use crate::attack::rules::{Api, Area, Password, right_password};
use crate::attack::ways::{self, ALLOW, MANAGEMENT_FROM, Standing, TRUSTED_PROXIES, Way};
use crate::support::client::{self, Client};
use crate::support::settings::free_port;

const LISTENERS: [(Serves, Kind); 6] = [
    (Serves::All, Kind::Tls),
    (Serves::All, Kind::Redirect),
    (Serves::Management, Kind::Close),
    (Serves::Monitoring, Kind::Tls),
    (Serves::Speech, Kind::Close),
    (Serves::Realtime, Kind::Tls),
];

/// The listeners, and again with PROXY protocol.
fn start(api: Api) -> Fixture {
    let (mut listeners, mut settings) = (Vec::new(), Vec::new());
    for proxy_protocol in [false, true] {
        for (serves, kind) in LISTENERS {
            let listener = Listener { serves, kind, port: free_port() };
            let mut setting = listener.setting();
            setting["allow"] = json!([ALLOW]);
            setting["trusted_proxies"] = json!([TRUSTED_PROXIES]);
            setting["proxy_protocol"] = json!(proxy_protocol);
            listeners.push(listener);
            settings.push(setting);
        }
    }
    let from = json!([MANAGEMENT_FROM]);
    Fixture::start_with(api, listeners, Value::Array(settings), &[("management_from", from)])
}

/// True for what `management_from` is about.
fn is_management(area: Option<Area>) -> bool {
    let managed = [Area::AdminV1, Area::AdminV2, Area::Page, Area::Monitoring, Area::OwnAdmin];
    area.is_some_and(|area| managed.contains(&area))
}

/// What must come of a request on this way.
fn wanted(
    api: Api,
    state: State,
    listener: Listener,
    way: &Way,
    request: &Request,
    credentials: &Credentials,
) -> Verdict {
    let usual = verdict(api, state, listener, request, credentials);
    let is_off = listener.kind != Kind::Tls && !state.plain_http;
    match way.standing {
        Standing::Silence => Verdict::Silence,
        _ if usual == Verdict::Silence => Verdict::Silence,
        Standing::Forbidden => Verdict::Forbidden,
        Standing::NoManagement if !is_off && is_management(area_at(api, listener, request)) => {
            Verdict::Forbidden
        }
        Standing::NoManagement | Standing::All => usual,
    }
}

/// Comes on `way` and asks; the connection is kept for the next request if the appliance keeps it.
fn fault(
    kept: &mut Option<Client>,
    listener: Listener,
    way: &Way,
    request: &Request,
    credentials: &Credentials,
    wanted: &Verdict,
) -> Option<String> {
    let let_in = matches!(wanted, Verdict::Open(_));
    let body = if let_in { request.harmless } else { request.effective };
    let lines = format!("{}{}", way.fields, credentials.lines);
    let text = text(listener, request, body, &lines);
    let tls = listener.kind == Kind::Tls;
    let at = client::Listener { name: "", port: listener.port, tls };
    let client = match kept.take() {
        Some(client) => Ok(client),
        None => Client::try_at_from(way.source, at, &way.preface),
    };
    let mut client = match client {
        Ok(client) => client,
        // TLS never began.
        Err(_) if *wanted == Verdict::Silence => return None,
        Err(error) => return Some(format!("no connection: {error}")),
    };
    let sent = client.try_send(text.as_bytes());
    if *wanted == Verdict::Silence {
        return match client.until_end() {
            Ok(bytes) if !bytes.is_empty() => Some(format!("not silent: {bytes:?}")),
            Ok(_) | Err(_) if !tls => None,
            _ if sent.is_err() => None,
            other => Some(format!("TLS was spoken: {other:?}")),
        };
    }
    let answer = match client.try_answer(request.method) {
        Ok(answer) => answer,
        Err(error) => return Some(format!("no answer: {error}")),
    };
    let goes_on = answer.status != 101 && answer.field("connection") != Some("close");
    *kept = goes_on.then_some(client);
    let fits = fits(&answer, request.method, wanted);
    (!fits).then(|| format!("{}{}", answer.head, answer.text()))
}

/// Requests of which one is tried on each way; another one on the next.
const ONE_OF: usize = 4;

/// A part of all requests on one way to one listener; how many there were.
fn try_way(
    fixture: &Fixture,
    state: State,
    listener: Listener,
    (number, way): (usize, &Way),
    turn: &mut usize,
    faults: &mut Vec<String>,
) -> usize {
    let api = fixture.api;
    let (mut kept, mut count) = (None, 0);
    let credentials = plain_ones(right_password(state.password));
    fixture.services.forget();
    let all = requests::all(api);
    for request in all.into_iter().skip(number % ONE_OF).step_by(ONE_OF) {
        *turn += 1;
        let credentials = &credentials[*turn % credentials.len()];
        let wanted = wanted(api, state, listener, way, &request, credentials);
        let costs_a_connection = wanted == Verdict::Silence || request.websocket;
        let is_served = matches!(wanted, Verdict::Open(_));
        if costs_a_connection && !turn.is_multiple_of(8)
            || is_served && (request.destroys || request.open.is_empty())
        {
            continue;
        }
        count += 1;
        if let Some(fault) = fault(&mut kept, listener, way, &request, credentials, &wanted) {
            let (method, path) = (request.method, path_at(listener, &request));
            let name = credentials.name;
            faults.push(format!(
                "{api:?}, {state:?}, {listener:?}, {way:?}: {method} {path}, credentials: {name}; \
                 wanted {wanted:?}, got {fault}"
            ));
        }
    }
    if matches!(way.standing, Standing::Silence | Standing::Forbidden) {
        let reached = fixture.services.texts().concat();
        assert!(reached.is_empty(), "{listener:?}, {way:?} let through: {reached}");
    }
    count
}

fn try_everything(api: Api) {
    let fixture = start(api);
    let (mut turn, mut count, mut faults) = (0, 0, Vec::new());
    for plain_http in [true, false] {
        let state = State { password: Password::Set, plain_http };
        fixture.enter(state);
        let before = fixture.possessions();
        for (index, listener) in fixture.listeners.clone().into_iter().enumerate() {
            if !plain_http && listener.kind == Kind::Tls {
                continue; // nothing is different there
            }
            let with_header = index >= LISTENERS.len();
            let ways = if with_header { ways::proxy_protocol() } else { ways::plain() };
            for (number, way) in ways.iter().enumerate() {
                let way = (number, way);
                count += try_way(&fixture, state, listener, way, &mut turn, &mut faults);
            }
        }
        assert_eq!(fixture.state(), state, "{api:?}: something was changed");
        assert!(fixture.possessions() == before, "{api:?}: a file changed");
    }
    println!("{api:?}: {count} cases, {} faults", faults.len());
    faults.truncate(20);
    assert!(faults.is_empty(), "of {count}:\n{}", faults.join("\n"));
    assert!(count > 5_000, "only {count} cases");
}

#[test]
fn nobody_comes_from_elsewhere_with_v1_alone() {
    try_everything(Api::V1);
}

#[test]
fn nobody_comes_from_elsewhere_with_v2_alone() {
    try_everything(Api::V2);
}

#[test]
fn nobody_comes_from_elsewhere_with_both_mounted() {
    try_everything(Api::Both);
}
