//! Asks the members of a cluster, one after the other, until one answers.
//!
//! In: time limits, which member answered last, tokens of a user. Out: what is asked ([`super::wire`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use zeroize::Zeroizing;

use super::failure::{Failure, Kind};
use super::options::Options;
use super::tls;
use crate::store::Error;

/// Time limit for resolving a name, and for connecting, with TLS.
const CONNECT: Duration = Duration::from_secs(2);

/// Time limit for one request to one member, and its whole answer.
const TOTAL: Duration = Duration::from_secs(5);

/// How long the members are asked in turn while they elect a leader. An election takes one to two seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// Pause before all members are asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Largest answer in bytes: a page of the largest records in base64.
const LARGEST: u64 = 64 << 20;

/// Connections that wait for their next request, to each member.
const IDLE: usize = 64;

/// Buffers of a connection, each way, in bytes.
const BUFFER: usize = 32 << 10;

/// Whether asking twice makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It reads, or may well happen twice.
    None,
    /// It changes records, and must not be sent again unless it certainly did nothing.
    Once,
}

/// A cluster.
pub(super) struct Client {
    agent: Agent,
    endpoints: Vec<String>,
    /// Index of the member that is asked first.
    current: AtomicUsize,
    login: Option<Login>,
}

/// A user, whose token each member forgets after some minutes, or when it restarts.
struct Login {
    user: String,
    password: Zeroizing<String>,
    token: RwLock<Option<Arc<str>>>,
    /// Held by the one who asks for the next token.
    renewing: Mutex<()>,
}

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Which file can't be used.
    pub(super) fn new(options: &Options) -> Result<Client, Error> {
        let agent = Agent::config_builder()
            .tls_config(tls::config(options)?)
            .proxy(None) // the default would read the environment
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(IDLE * options.endpoints.len())
            .max_idle_connections_per_host(IDLE)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .user_agent("license-authority")
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(TOTAL))
            .build()
            .new_agent();
        let login = match &options.user {
            Some((user, file)) => Some(Login {
                user: user.clone(),
                password: tls::password(file)?,
                token: RwLock::default(),
                renewing: Mutex::default(),
            }),
            None => None,
        };
        let endpoints = options.endpoints.clone();
        Ok(Client { agent, endpoints, current: AtomicUsize::new(0), login })
    }

    /// Asks the current member, and the next ones where that is safe and of use.
    ///
    /// # Errors
    /// Why no member gave a usable answer.
    pub(super) fn ask(&self, path: &str, body: &Value, effect: Effect) -> Result<Value, Failure> {
        let body = Zeroizing::new(body.to_string());
        let begun = Instant::now();
        let mut failures: Vec<(usize, Failure)> = Vec::new();
        loop {
            let at = self.current.load(Ordering::Relaxed);
            let failure = match self.authorized(&self.endpoints[at], path, &body) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let failure = match (failure.kind, effect) {
                (Kind::Unknown, Effect::None) => Failure { kind: Kind::NotNow, ..failure },
                _ => failure,
            };
            let kind = failure.kind;
            failures.push((at, failure));
            if !matches!(kind, Kind::NotSent | Kind::NotNow | Kind::Unknown) {
                return Err(self.summary(&failures));
            }
            let (next, order) = ((at + 1) % self.endpoints.len(), Ordering::Relaxed);
            let _ = self.current.compare_exchange(at, next, order, order);
            let whole_round = failures.len().is_multiple_of(self.endpoints.len());
            let hopeless = failures.iter().all(|(_, failure)| failure.kind == Kind::NotSent);
            if kind == Kind::Unknown || whole_round && (hopeless || begun.elapsed() > PATIENCE) {
                return Err(self.summary(&failures));
            }
            if whole_round {
                thread::sleep(PAUSE);
            }
        }
    }

    /// The failure that ended it, with the last one of each other member if all were of no use.
    fn summary(&self, failures: &[(usize, Failure)]) -> Failure {
        let kind = failures.last().map_or(Kind::NotSent, |(_, failure)| failure.kind);
        let alone = !matches!(kind, Kind::NotSent | Kind::NotNow);
        let mut told: Vec<(usize, String)> = Vec::new();
        for (at, failure) in failures.iter().rev().take(if alone { 1 } else { failures.len() }) {
            if told.iter().all(|(known, _)| known != at) {
                told.push((*at, format!("{}: {}", self.endpoints[*at], failure.what)));
            }
        }
        let told: Vec<String> = told.into_iter().map(|(_, words)| words).collect();
        Failure::new(kind, told.join("; "))
    }

    /// Asks one member, with a token if there is a user.
    fn authorized(&self, endpoint: &str, path: &str, body: &str) -> Result<Value, Failure> {
        let Some(login) = &self.login else { return self.post(endpoint, path, body, None) };
        let token = match login.token() {
            Some(token) => token,
            None => self.renew(login, None, endpoint)?,
        };
        match self.post(endpoint, path, body, Some(&token)) {
            Err(failure) if failure.kind == Kind::Token => {
                let token = self.renew(login, Some(&token), endpoint)?;
                self.post(endpoint, path, body, Some(&token))
            }
            other => other,
        }
    }

    /// Another token than `old`, from another thread or from the member.
    fn renew(
        &self,
        login: &Login,
        old: Option<&Arc<str>>,
        endpoint: &str,
    ) -> Result<Arc<str>, Failure> {
        let _renewing = login.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = login.token().filter(|token| Some(token) != old) {
            return Ok(token);
        }
        let (name, password) =
            (json!(login.user), Zeroizing::new(json!(*login.password).to_string()));
        let body = Zeroizing::new(format!(r#"{{"name":{name},"password":{}}}"#, *password));
        let answer = self.post(endpoint, "/v3/auth/authenticate", &body, None);
        let answer = answer.map_err(|failure| match failure.kind {
            // A login changes nothing; the request itself was not sent.
            Kind::Unknown => Failure { kind: Kind::NotNow, ..failure },
            _ => failure,
        })?;
        let token = answer["token"].as_str().filter(|token| !token.is_empty());
        let token = token
            .ok_or_else(|| Failure::new(Kind::Refused, "etcd gave no token for --etcd-user"))?;
        let token: Arc<str> = token.into();
        *login.token.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        Ok(token)
    }

    /// One request on a connection that stays open for the next.
    fn post(
        &self,
        endpoint: &str,
        path: &str,
        body: &str,
        token: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut request =
            self.agent.post(format!("{endpoint}{path}")).header("Content-Type", "application/json");
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let failed = |error: ureq::Error| Failure::of_transport(&error);
        let mut answer = request.send(body).map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(failed)?;
        if status != 200 {
            return Err(Failure::of_answer(status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|_| Failure::new(Kind::Unknown, "its answer is no JSON: check the URL"))
    }
}

impl Login {
    fn token(&self) -> Option<Arc<str>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
