//! The services behind the gate: the two speech engines, and others with their own paths.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::LONGEST_SOCKET_PATH;
use super::own_paths;
use super::section::Field;
use crate::util::words::words;

/// A service behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Up to 64 characters of `a-z`, `0-9`, `-` and `_`.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: ServiceAddress,
    /// Path prefixes, the longest match wins; empty for `speech` and `realtime`, whose paths are fixed.
    pub(crate) paths: Vec<String>,
    /// Authentication, [`Auth::Admin`] if a path is below management; for `speech` and `realtime` the gate's own rules apply instead.
    pub(crate) auth: Auth,
    /// Methods refused while the license is not valid; empty for `speech` and `realtime`, as above.
    pub(crate) licensed: Vec<String>,
    /// Whether upgrades to WebSocket pass.
    pub(crate) websocket: bool,
    /// Seconds it may take to begin its answer, and may pause within it; 1 to 86,400.
    pub(crate) timeout: u32,
}

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceAddress {
    /// `host:port`
    Tcp {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// `unix:/absolute/path`
    Unix(PathBuf),
}

words! {
    /// Authentication of a service's clients.
    pub(crate) enum Auth {
        /// The gate asks for the password, as for management.
        Admin = "admin",
        /// The gate does not; the service may.
        None = "none",
    }
}

/// Names of the appliance's own parts in the list of services.
pub(crate) const OWN_PARTS: &[&str] = &["gate", "management", "monitoring"];

/// Longest name of a service in characters.
const LONGEST_NAME: usize = 64;

/// Seconds; speech engines need long.
const TIMEOUT: u32 = 300;

/// Most services besides the two speech engines.
const MOST_SERVICES: usize = 64;

/// Methods that the gate forwards.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Service {
    pub(super) fn speech() -> Service {
        Service::built_in("speech", 7082, false)
    }

    pub(super) fn realtime() -> Service {
        Service::built_in("realtime", 7090, true)
    }

    fn built_in(name: &str, port: u16, websocket: bool) -> Service {
        Service {
            name: name.to_owned(),
            address: ServiceAddress::Tcp { host: "127.0.0.1".to_owned(), port },
            paths: Vec::new(),
            auth: Auth::None,
            licensed: Vec::new(),
            websocket,
            timeout: TIMEOUT,
        }
    }

    /// The area of management in which one of its `paths` lies, as in `/v2/management/`.
    pub(crate) fn management(path: &str) -> Option<&'static str> {
        own_paths::management(path)
    }

    /// Whether it is `speech` or `realtime`, whose paths and rules are fixed.
    pub(crate) fn is_built_in(&self) -> bool {
        self.name == "speech" || self.name == "realtime"
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            ServiceAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            ServiceAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(super) fn parse(field: Field<'_>) -> Option<Vec<Service>> {
    let mut section = field.section()?;
    let mut services = vec![Service::realtime(), Service::speech()];
    for service in &mut services {
        let key = if service.name == "speech" { "speech" } else { "realtime" };
        if let Some(mut built_in) = section.take(key).and_then(Field::section) {
            if let Some(address) = built_in.take("address").and_then(address) {
                service.address = address;
            }
            if let Some(seconds) = built_in.take("timeout").and_then(timeout) {
                service.timeout = seconds;
            }
            built_in.end();
        }
    }
    for (name, field) in section.take_all() {
        if services.len() >= MOST_SERVICES + 2 {
            field.note(format_args!("more than {MOST_SERVICES} services"));
            break;
        }
        services.extend(custom(name, field, &services));
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Some(services)
}

fn custom(name: String, field: Field<'_>, others: &[Service]) -> Option<Service> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        field.note(format_args!(
            "a service's name has 1 to {LONGEST_NAME} characters of a-z, 0-9, - and _"
        ));
    }
    if OWN_PARTS.contains(&name.as_str()) {
        field.note("the name of a part of the appliance itself; choose another");
    }
    let mut section = field.section()?;
    let address = section.require("address").and_then(address);
    let paths = section.require("paths").and_then(|field| paths(field, others));
    let auth = section.take("auth").map(|field| auth(&field, paths.as_deref().unwrap_or_default()));
    let licensed = section.take("licensed").map(|field| {
        let choices = METHODS.map(|method| (method, method));
        let methods = field.items()?.into_iter().filter_map(|item| item.choice(&choices));
        Some(methods.map(str::to_owned).collect())
    });
    let websocket = section.take("websocket").map(Field::flag);
    let timeout = section.take("timeout").map(timeout);
    section.end();
    Some(Service {
        name,
        address: address?,
        paths: paths?,
        auth: auth.flatten().unwrap_or(Auth::Admin),
        licensed: licensed.flatten().unwrap_or_default(),
        websocket: websocket.flatten().unwrap_or(false),
        timeout: timeout.flatten().unwrap_or(TIMEOUT),
    })
}

/// Who manages an engine is an administrator, as for the rest of management.
fn auth(field: &Field<'_>, paths: &[String]) -> Option<Auth> {
    let auth = field.clone().choice(Auth::NAMES)?;
    let management = paths.iter().find(|path| own_paths::management(path).is_some());
    if let (Auth::None, Some(path)) = (auth, management) {
        field.note(format_args!("{path:?} is management, so it takes \"admin\" alone"));
        return None;
    }
    Some(auth)
}

fn timeout(field: Field<'_>) -> Option<u32> {
    field.number("a number of seconds from 1 to 86400", 1..=86_400)
}

fn address(field: Field<'_>) -> Option<ServiceAddress> {
    field.text_as("\"host:port\" or \"unix:/absolute/path\" (up to 107 bytes)", |text| {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits =
                path.starts_with('/') && path.len() <= LONGEST_SOCKET_PATH && !path.contains('\0');
            return fits.then(|| ServiceAddress::Unix(PathBuf::from(path)));
        }
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|v6| v6.parse::<Ipv6Addr>().is_ok())?,
            None => host,
        };
        let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let fits = host.parse::<Ipv6Addr>().is_ok() && text.starts_with('[')
            || !host.is_empty() && host.chars().all(name);
        fits.then(|| ServiceAddress::Tcp { host: host.to_owned(), port })
    })
}

fn paths(field: Field<'_>, others: &[Service]) -> Option<Vec<String>> {
    if field.count() == 0 {
        field.note("expected at least one path; without one the service could not be reached");
        return None;
    }
    let mut paths: Vec<String> = Vec::new();
    for item in field.items()? {
        let wanted = "a path prefix that begins and ends with \"/\", such as \"/x/\"";
        let prefix = |text: &str| is_prefix(text).then(|| text.to_owned());
        let Some(item_path) = item.clone().text_as(wanted, prefix) else { continue };
        let ours = own_paths::overlap(&item_path);
        let other = others.iter().find(|other| other.paths.contains(&item_path));
        if let Some(ours) = ours {
            item.note(format_args!("{item_path:?} overlaps with the appliance's own {ours:?}"));
        } else if let Some(other) = other {
            item.note(format_args!(
                "{item_path:?} belongs to the service {:?} already",
                other.name
            ));
        } else if paths.contains(&item_path) {
            item.note(format_args!("{item_path:?} stands twice"));
        } else {
            paths.push(item_path);
        }
    }
    Some(paths)
}

/// Whether a request path, taken literally, can begin with this prefix.
fn is_prefix(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('/')
        && text.ends_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\\"<>".contains(&byte))
        && !text.contains("//")
        && !text.split('/').any(|segment| segment == "." || segment == "..")
}
