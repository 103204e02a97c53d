//! One case of the matrix: a request at a listener with credentials, what must come of it, and what did.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::attack::credentials::{Credentials, Worth};
use crate::attack::fixture::{HTTPS_PORT, Kind, Listener, Serves, State};
use crate::attack::requests::Request;
use crate::attack::rules::{Api, Area, hides, is_asked, refusal_is_a_page};
use crate::support::client::{self, Answer, Client};

/// What must come of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Whoever reads it answers with one of these.
    Open(&'static [u16]),
    /// 401, as v1's page or v2's line.
    Shut {
        page: bool,
    },
    /// 401 that asks for a job token; `wrong` if one was given.
    ShutByToken {
        wrong: bool,
    },
    Nowhere,
    /// 400, before anybody is asked anything.
    Ambiguous,
    /// Not a byte.
    Silence,
    /// 403: not from this address.
    Forbidden,
    Elsewhere {
        status: u16,
        location: String,
    },
}

/// Wrong passwords that one address sends before it is another's turn; the appliance allows ten.
const GUESSES: u32 = 8;

/// What `request` is about at this listener; `None`: nobody serves it there, and everybody is told.
pub(crate) fn area_at(api: Api, listener: Listener, request: &Request) -> Option<Area> {
    let area = request.area;
    let served = match listener.serves {
        Serves::All => area,
        Serves::Management => {
            area.filter(|a| matches!(a, Area::AdminV1 | Area::AdminV2 | Area::Page | Area::Health))
        }
        Serves::Monitoring => Some(Area::Monitoring),
        Serves::Speech => area.filter(|a| matches!(a, Area::SpeechV1 | Area::Jobs)),
        Serves::Realtime if request.websocket && request.path == "/" => Some(Area::Realtime),
        Serves::Realtime => area.filter(|a| *a == Area::Realtime),
    };
    served.or_else(|| hides(api, listener.serves).then_some(Area::Nowhere))
}

/// What is asked for at this listener: monitoring has no prefix where it has a listener of its own.
pub(crate) fn path_at(listener: Listener, request: &Request) -> &str {
    match listener.serves {
        Serves::Monitoring => request.path.strip_prefix("/monitor").unwrap_or(&request.path),
        _ => &request.path,
    }
}

pub(crate) fn verdict(
    api: Api,
    state: State,
    listener: Listener,
    request: &Request,
    credentials: &Credentials,
) -> Verdict {
    let tls = listener.kind == Kind::Tls;
    if !tls && !state.plain_http && listener.kind == Kind::Close {
        return Verdict::Silence;
    }
    if credentials.worth == Worth::Ambiguous {
        return Verdict::Ambiguous;
    }
    if !tls && !state.plain_http {
        let status = if matches!(request.method, "GET" | "HEAD") { 301 } else { 308 };
        let prefix = if listener.serves == Serves::Monitoring { "/monitor" } else { "" };
        let location =
            format!("https://localhost:{HTTPS_PORT}{prefix}{}", path_at(listener, request));
        return Verdict::Elsewhere { status, location };
    }
    let Some(area) = area_at(api, listener, request) else { return Verdict::Nowhere };
    let shut = is_asked(api, tls, state.password, area) && credentials.worth != Worth::Right;
    if shut {
        return Verdict::Shut { page: refusal_is_a_page(api, area) };
    }
    match (area, request.area) {
        (Area::Monitoring, Some(Area::Monitoring)) => Verdict::Open(request.open),
        (Area::Monitoring, _) => Verdict::Open(&[404, 405]),
        (Area::Realtime, _) => Verdict::Open(&[101]),
        (Area::Nowhere, _) => Verdict::Nowhere,
        _ => Verdict::Open(request.open),
    }
}

/// Somebody at a listener: another address and another connection whenever that is due.
pub(crate) struct Caller {
    listener: Listener,
    client: Option<Client>,
    source: Ipv4Addr,
    guesses: u32,
}

impl Caller {
    pub(crate) fn at(listener: Listener) -> Caller {
        Caller { listener, client: None, source: next_source(), guesses: 0 }
    }

    /// What came of it does not fit: a sentence.
    pub(crate) fn fault(
        &mut self,
        request: &Request,
        body: &str,
        credentials: &Credentials,
        wanted: &Verdict,
    ) -> Option<String> {
        let is_guess = credentials.worth == Worth::Wrong || credentials.worth == Worth::Right;
        if is_guess && self.guesses == GUESSES {
            *self = Caller::at(self.listener);
        }
        self.guesses += u32::from(is_guess);
        let text = text(self.listener, request, body, &credentials.lines);
        let client = self.client.take();
        let mut client = client.unwrap_or_else(|| {
            let tls = self.listener.kind == Kind::Tls;
            Client::at_from(
                self.source,
                client::Listener { name: "", port: self.listener.port, tls },
            )
        });
        let _ = client.try_send(text.as_bytes()); // it may have heard enough before all is sent
        if *wanted == Verdict::Silence {
            return match client.until_end() {
                Ok(bytes) if bytes.is_empty() => None,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => None,
                other => Some(format!("not silent: {other:?}")),
            };
        }
        let answer = match client.try_answer(request.method) {
            Ok(answer) => answer,
            Err(error) => return Some(format!("no answer: {error}")),
        };
        let goes_on = answer.status != 101 && answer.field("connection") != Some("close");
        self.client = goes_on.then_some(client);
        let fits = fits(&answer, request.method, wanted);
        (!fits).then(|| format!("{}{}", answer.head, answer.text()))
    }
}

/// A request as it is sent, with these lines in its head.
pub(crate) fn text(listener: Listener, request: &Request, body: &str, lines: &str) -> String {
    let path = path_at(listener, request);
    let upgrade = if request.websocket {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    } else {
        ""
    };
    let length = match (body, request.method) {
        ("", "GET" | "HEAD" | "DELETE") => String::new(),
        _ => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!(
        "{} {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}{lines}{length}\r\n{body}",
        request.method
    )
}

pub(crate) fn fits(answer: &Answer, method: &str, wanted: &Verdict) -> bool {
    match wanted {
        Verdict::Open(statuses) => statuses.contains(&answer.status),
        Verdict::Nowhere => answer.status == 404,
        Verdict::Ambiguous => answer.status == 400,
        Verdict::Silence => false,
        Verdict::Forbidden => {
            let words = "allow this from other addresses only";
            answer.status == 403 && (method == "HEAD" || answer.text().contains(words))
        }
        Verdict::Elsewhere { status, location } => {
            answer.status == *status && answer.field("location") == Some(location)
        }
        Verdict::ShutByToken { wrong } => {
            let challenge = if *wrong {
                "Bearer realm=\"appliance\", error=\"invalid_token\""
            } else {
                "Bearer realm=\"appliance\""
            };
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            answer.status == 401
                && answer.field("www-authenticate") == Some(challenge)
                && answer.field("content-type") == Some("application/json")
                && (told["code"] == 401 && told["error"] == "Permission Denied")
        }
        Verdict::Shut { page } => {
            let (kind, words) = if *page {
                ("text/html", "<center><h1>401 Authorization Required</h1></center>")
            } else {
                ("text/plain", "401 Unauthorized")
            };
            let title = "<head><title>401 Authorization Required</title></head>";
            answer.status == 401
                && answer.field("www-authenticate")
                    == Some("Basic realm=\"appliance\", charset=\"UTF-8\"")
                && answer.field("content-type").is_some_and(|found| found.starts_with(kind))
                && (method == "HEAD" || answer.text().contains(words))
                && (method == "HEAD" || answer.text().contains(title) == *page)
        }
    }
}

/// All of 127.0.0.0/8 is this machine, so every test has as many addresses as it likes.
fn next_source() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Ipv4Addr::from_bits(0x7f40_0001 + NEXT.fetch_add(1, Ordering::Relaxed) % 0x3f_fffe)
}
