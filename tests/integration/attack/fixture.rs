//! One appliance with every kind of listener, and the states its administrator can bring it into.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::attack::rules::{Api, Password, SECRET};
use crate::support::appliance::Appliance;
use crate::support::settings::{Settings, free_port};
use crate::support::stub::{Stub, ok};
use crate::support::wait::{SOON, until};

/// Where redirects point to; nobody needs to listen there.
pub(crate) const HTTPS_PORT: u16 = 4433;

/// What is behind a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    All,
    Management,
    Monitoring,
    Speech,
    Realtime,
}

/// How a listener behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tls,
    /// Plain, and closed without a byte while plain HTTP is off.
    Close,
    /// Plain, and sent to HTTPS meanwhile.
    Redirect,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) serves: Serves,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) password: Password,
    pub(crate) plain_http: bool,
}

/// What is known of the job token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Unset,
    Set(&'static str),
    /// Its file is damaged: no token is right.
    Damaged,
}

pub(crate) struct Fixture {
    pub(crate) api: Api,
    pub(crate) listeners: Vec<Listener>,
    /// Every service behind the gate.
    pub(crate) services: Stub,
    appliance: Appliance,
}

impl Fixture {
    pub(crate) fn start(api: Api) -> Fixture {
        let listeners = listeners();
        let settings = listeners.iter().map(Listener::setting).collect();
        Fixture::start_with(api, listeners, settings, &[])
    }

    /// With `listen` as the setting for these listeners, and more settings.
    pub(crate) fn start_with(
        api: Api,
        listeners: Vec<Listener>,
        listen: Value,
        more: &[(&str, Value)],
    ) -> Fixture {
        let services = Stub::start(|visit| {
            while let Some((head, _)) = visit.request() {
                if head.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
                    visit.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
                    return visit.await_end();
                }
                visit.say(ok("served").as_bytes());
            }
        });
        let own = |path: &str, auth: &str| json!({"address": services.address.to_string(), "paths": [path], "auth": auth});
        let settings = match api {
            Api::V1 => Settings::v1(),
            Api::V2 => Settings::v2(),
            Api::Both => Settings::both(),
        };
        let settings = settings
            .speech(services.address)
            .realtime(services.address)
            .service("house", own("/admin-only/", "admin"))
            .service("guest", own("/free/", "none"))
            .service("workers", own("/v1/management/maxworkers/", "admin"))
            .service("engine", own("/v2/management/host/gpu/", "admin"))
            .with("listen", listen)
            .with("access_log", json!(false))
            .with("https_port", json!(HTTPS_PORT));
        let settings =
            more.iter().fold(settings, |settings, (key, value)| settings.with(key, value.clone()));
        Fixture { api, listeners, services, appliance: Appliance::start(&settings) }
    }

    /// What the administrator, and an accident, can bring about; the wait ends when it is in force.
    pub(crate) fn enter(&self, state: State) {
        let off = state.password == Password::Off;
        let settings = json!({
            "version": 1,
            "plain_http": state.plain_http,
            "authentication": if off { "off" } else { "on" },
        });
        let password = match state.password {
            Password::Unset | Password::Off => None,
            // The least cost there is: what is tried here is who gets in, not how long it takes.
            Password::Set => {
                let hash = bcrypt::hash_with_result(SECRET, 4).unwrap();
                Some(format!("admin:{}\n", hash.format_for_version(bcrypt::Version::TwoY)))
            }
            Password::Damaged => Some("admin:$2y$04$ half a li".to_owned()),
        };
        self.place("admin.htpasswd", password.as_deref());
        self.place("security.json", Some(&settings.to_string()));
        until(SOON, "the state is in force", || (self.state() == state).then_some(()));
    }

    /// Sets, removes or damages the job token; the wait ends when that is in force.
    pub(crate) fn enter_token(&self, token: Token) {
        match token {
            Token::Unset => self.place("job-token.json", None),
            Token::Damaged => self.place("job-token.json", Some("{\"version\": 1, \"salt\"")),
            Token::Set(text) => {
                let body = json!({"user_token": text}).to_string();
                let told = self.call("POST", "/security/jobtoken", &body);
                assert_eq!(told["success"], true, "{told}");
            }
        }
        let word = match token {
            Token::Unset => "unset",
            Token::Damaged => "locked",
            Token::Set(_) => "set",
        };
        until(SOON, "the token is in force", || {
            (self.local("GET", "/security/jobtoken")["job_token"] == word).then_some(())
        });
    }

    /// Replaces a state file whole, as a careful person does.
    fn place(&self, name: &str, contents: Option<&str>) {
        let (file, new) = (self.appliance.state(name), self.appliance.folder().join("new"));
        let Some(contents) = contents else {
            let _ = std::fs::remove_file(file);
            return;
        };
        std::fs::write(&new, contents).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// What is in force.
    pub(crate) fn state(&self) -> State {
        let told = self.local("GET", "/security/adminpassword");
        let password = match told["admin_password"].as_str() {
            Some("unset") => Password::Unset,
            Some("set") => Password::Set,
            Some("off") => Password::Off,
            Some("locked") => Password::Damaged,
            _ => panic!("{told}"),
        };
        let told = self.local("GET", "/security/insecureports");
        State { password, plain_http: told["enable_insecure_ports"].as_bool().unwrap() }
    }

    /// A call on the control socket, under whichever generation is mounted.
    pub(crate) fn local(&self, method: &str, path: &str) -> Value {
        self.call(method, path, "")
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let generation = if self.api == Api::V2 { "/v2" } else { "/v1" };
        let mut socket = UnixStream::connect(self.appliance.control_socket()).unwrap();
        let head = format!(
            "{method} {generation}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").expect("an answer").1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// All that a stranger must not change: every file of security and the license in force.
    pub(crate) fn possessions(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for folder in ["", "tls"] {
            for entry in std::fs::read_dir(self.appliance.state(folder)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                // The license worker writes its accounts whenever it likes.
                let of_the_worker = name.starts_with("/license.json") || name.contains("usage");
                if entry.file_type().unwrap().is_file() && !of_the_worker {
                    all.insert(name, std::fs::read(entry.path()).unwrap());
                }
            }
        }
        let license = self.local("GET", "/management/license");
        let kept = ["licensed", "license_code", "activation_type", "computer_id"];
        let kept: Vec<String> = kept.iter().map(|key| license[*key].to_string()).collect();
        all.insert("the license".to_owned(), kept.join(" ").into_bytes());
        all
    }
}

fn listeners() -> Vec<Listener> {
    let mut listeners = Vec::new();
    for serves in
        [Serves::All, Serves::Management, Serves::Monitoring, Serves::Speech, Serves::Realtime]
    {
        for kind in [Kind::Tls, Kind::Close, Kind::Redirect] {
            listeners.push(Listener { serves, kind, port: free_port() });
        }
    }
    listeners
}

impl Listener {
    pub(crate) fn setting(&self) -> Value {
        let serves = format!("{:?}", self.serves).to_lowercase();
        let address = format!("127.0.0.1:{}", self.port);
        match self.kind {
            Kind::Tls => json!({"address": address, "serves": serves, "tls": true}),
            Kind::Close => json!({"address": address, "serves": serves, "http_disabled": "close"}),
            Kind::Redirect => {
                json!({"address": address, "serves": serves, "http_disabled": "redirect"})
            }
        }
    }
}
