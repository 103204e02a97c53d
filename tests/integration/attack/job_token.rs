//! The job token: every request, listener and state, with tokens good, wrong and in the wrong place. It opens and shuts
//! speech alone, where no password is asked for, and no service ever gets it.

use crate::attack::cases::{Caller, Verdict, area_at, verdict};
use crate::attack::credentials::{Credentials, Worth};
use crate::attack::fixture::{Fixture, Kind, Listener, State, Token};
use crate::attack::job_tokens::{Presented, TOKEN, odd_ones, plain_ones};
use crate::attack::requests::{self, Request};
use crate::attack::rules::{Api, Area, Password, is_asked};

const SPEECH: [Area; 3] = [Area::SpeechV1, Area::Jobs, Area::Realtime];

/// Spellings of speech beside those of `requests.rs`; what a service might take for speech is nowhere.
fn spellings(all: &[Request]) -> Vec<Request> {
    let jobs = all.iter().find(|one| one.area == Some(Area::Jobs)).expect("jobs");
    let live = all.iter().find(|one| one.area == Some(Area::Realtime)).expect("realtime");
    let speech = |path: &str| Request { path: path.to_owned(), ..jobs.clone() };
    let nowhere = |path: &str| Request { area: None, ..speech(path) };
    vec![
        speech("http://localhost/v2/jobs"),
        speech("/v2/jobs/%6aobs"),
        speech("/v2/jobs//"),
        Request { websocket: true, ..speech("/v2/jobs/7") },
        Request { path: "https://localhost/v2/en".to_owned(), ..live.clone() },
        Request { websocket: false, area: None, open: &[200], ..live.clone() },
        nowhere("/v2/%6aobs"),
        nowhere("/%76%32/jobs"),
        nowhere("/v2//jobs"),
        nowhere("/V2/jobs"),
        nowhere("/v2/jobs;a"),
    ]
}

/// Requests for which tokens are tried, and others that it must leave as they are.
fn requests(api: Api) -> (Vec<Request>, Vec<Request>) {
    let all = requests::all(api);
    let more = spellings(&all);
    let is_speech = |one: &Request| one.area.is_some_and(|area| SPEECH.contains(&area));
    let (speech, others): (Vec<Request>, Vec<Request>) = all.into_iter().partition(is_speech);
    // A service that checks its clients itself gets what they send.
    let others = others.into_iter().filter(|one| one.area != Some(Area::OwnNone));
    ([speech, more].concat(), others.collect())
}

/// What must come of it, and the request as it is sent.
fn expect(
    api: Api,
    (state, token): (State, Token),
    listener: Listener,
    request: &Request,
    presented: &Presented,
) -> (Request, Credentials, Verdict) {
    let area = area_at(api, listener, request);
    let live = area == Some(Area::Realtime);
    let mut worth = if live { presented.live } else { presented.worth };
    if token == Token::Damaged && worth == Worth::Right {
        worth = Worth::Wrong;
    }
    // No password is ever right here, and what is ambiguous is so for every rule.
    let as_password = if worth == Worth::Ambiguous { worth } else { Worth::Missing };
    let lines = presented.lines.clone();
    let password = Credentials { name: presented.name, worth: as_password, lines: lines.clone() };
    let mut path = request.path.clone();
    if !presented.query.is_empty() {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&presented.query);
    }
    let mut wanted = verdict(api, state, listener, request, &password);
    let asks = |area: Area| {
        let tls = listener.kind == Kind::Tls;
        SPEECH.contains(&area) && !is_asked(api, tls, state.password, area)
    };
    match &mut wanted {
        Verdict::Open(_) if area.is_some_and(asks) && token != Token::Unset => match worth {
            Worth::Right => {}
            _ => wanted = Verdict::ShutByToken { wrong: worth == Worth::Wrong },
        },
        Verdict::Elsewhere { location, .. } => {
            for host in ["http://localhost", "https://localhost"] {
                *location = location.replace(&format!("{host}/v2"), "/v2");
            }
            location.push_str(path.strip_prefix(&request.path).unwrap_or_default());
        }
        _ => {}
    }
    let credentials = Credentials { name: presented.name, worth, lines };
    (Request { path, ..request.clone() }, credentials, wanted)
}

struct Matrix {
    fixture: Fixture,
    speech: Vec<Request>,
    others: Vec<Request>,
    turn: usize,
    count: usize,
    faults: Vec<String>,
}

impl Matrix {
    /// The cases of a listener: for speech two odd tokens in turn beside the plain ones, for the rest the right one
    /// where it is looked for, which must not help.
    fn cases(
        &mut self,
        situation: (State, Token),
        listener: Listener,
    ) -> Vec<(Request, Credentials, Verdict)> {
        let (plain, odd, api) = (plain_ones(), odd_ones(), self.fixture.api);
        let mut cases = Vec::new();
        for request in &self.speech {
            let mut tried = plain.clone();
            for _ in 0..2 {
                tried.push(odd[self.turn % odd.len()].clone());
                self.turn += 1;
            }
            cases.extend(tried.iter().map(|one| expect(api, situation, listener, request, one)));
        }
        let shut = |case: &(Request, Credentials, Verdict)| !matches!(case.2, Verdict::Open(_));
        for request in &self.others {
            let right = expect(api, situation, listener, request, &plain[1]);
            // What is open anyway is tried elsewhere, with bodies that do no harm.
            cases.extend(Some(right).filter(shut));
        }
        cases
    }

    fn try_at(&mut self, situation: (State, Token), listener: Listener) {
        let cases = self.cases(situation, listener);
        self.count += cases.len();
        let (open, shut): (Vec<_>, Vec<_>) =
            cases.into_iter().partition(|case| matches!(case.2, Verdict::Open(_)));
        let before = self.fixture.possessions();
        self.fixture.services.forget();
        let mut caller = Caller::at(listener);
        let mut attempt =
            |faults: &mut Vec<String>,
             (request, credentials, wanted): &(Request, Credentials, Verdict)| {
                if let Some(fault) = caller.fault(request, request.effective, credentials, wanted) {
                    let (method, path, name) = (request.method, &request.path, credentials.name);
                    faults.push(format!(
                    "{situation:?}, {listener:?}: {method} {path}, {name}; wanted {wanted:?}, got {fault}"
                ));
                }
            };
        shut.iter().for_each(|case| attempt(&mut self.faults, case));
        let reached = self.fixture.services.texts().concat();
        assert!(reached.is_empty(), "{situation:?}, {listener:?} let through: {reached}");
        assert!(
            self.fixture.possessions() == before,
            "{situation:?}, {listener:?}: a file changed"
        );
        open.iter().for_each(|case| attempt(&mut self.faults, case));
        let reached = self.fixture.services.texts().concat();
        for secret in [TOKEN, "jwt=", "uthorization:"] {
            assert!(!reached.contains(secret), "a service got the token: {reached}");
        }
    }

    fn run(api: Api, passwords: &[Password], tokens: &[Token]) {
        let (speech, others) = requests(api);
        let fixture = Fixture::start(api);
        let mut matrix = Matrix { fixture, speech, others, turn: 0, count: 0, faults: Vec::new() };
        for (password, plain_http) in passwords.iter().flat_map(|one| [(*one, true), (*one, false)])
        {
            let state = State { password, plain_http };
            matrix.fixture.enter(state);
            for token in tokens {
                matrix.fixture.enter_token(*token);
                for listener in matrix.fixture.listeners.clone() {
                    // As in `unauthorized.rs`.
                    let twin = if plain_http { Kind::Redirect } else { Kind::Tls };
                    if listener.kind != twin {
                        matrix.try_at((state, *token), listener);
                    }
                }
            }
        }
        let Matrix { count, faults, .. } = matrix;
        println!("{api:?}: {count} cases, {} faults", faults.len());
        assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
        assert!(count > 2_000, "only {count} cases");
    }
}

const TOKENS: [Token; 2] = [Token::Set(TOKEN), Token::Damaged];

#[test]
fn a_job_token_shuts_speech_and_nothing_else_with_v1_alone() {
    Matrix::run(Api::V1, &[Password::Unset, Password::Set], &TOKENS);
}

#[test]
fn a_job_token_shuts_speech_and_nothing_else_with_v2_alone() {
    Matrix::run(Api::V2, &[Password::Unset, Password::Set, Password::Off], &TOKENS);
}

#[test]
fn a_job_token_shuts_speech_and_nothing_else_with_both_mounted() {
    Matrix::run(Api::Both, &[Password::Unset, Password::Set], &TOKENS);
}
