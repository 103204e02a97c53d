//! The proxy for the license service: the body of `license/network`, and `license-network.json`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::license::protocol::fields::Error;
use crate::store;
use crate::store::{Folder, View};
use crate::util::json;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// A host name or an address; an IPv6 address without brackets.
    pub(crate) host: String,
    /// 1 to 65535.
    pub(crate) port: u16,
    /// If absent, no credentials are sent to the proxy.
    pub(crate) user: Option<String>,
    /// Never shown, logged or included in an error.
    pub(crate) password: Option<Zeroizing<String>>,
}

/// Longest user name or password in bytes.
const LONGEST_CREDENTIAL: usize = 256;

/// Shown in place of the password.
const MASK: &str = "********";

const VERSION: u64 = 1;

const FILE: &str = "license-network.json";
const LARGEST_FILE: u64 = 64 << 10;

/// Members of a body.
pub(crate) const MEMBERS: [&str; 2] = ["http_configuration", "relay_configuration"];

/// A valid body, for error messages.
pub(crate) const EXAMPLE: &str = r#"{"http_configuration": {"ip": "192.0.2.1", "port": "3128"}}"#;

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address())
    }
}

impl Proxy {
    /// `host:port`
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(crate) fn credentials(&self) -> Option<Zeroizing<String>> {
        let user = self.user.as_deref()?;
        let password = self.password.as_ref().map_or("", |password| password.as_str());
        let pair = Zeroizing::new(format!("{user}:{password}"));
        Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }

    /// Reads `{"http_configuration": {…}}` (ML-16, ML-17); `None` if it clears the proxy.
    ///
    /// A password of eight asterisks, as GET shows it, stands for the password of `present` if host and
    /// user are equal.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub(crate) fn from_body(body: Value, present: Option<&Proxy>) -> Result<Option<Proxy>, Error> {
        let Value::Object(mut members) = body else {
            return Err("the body is not an object".into());
        };
        let settings = members.remove("http_configuration");
        relay(members.remove("relay_configuration"))?;
        nothing_else(&members, &MEMBERS)?;
        match settings {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(settings)) => from_members(settings, present),
            Some(_) => Err("http_configuration is not an object".into()),
        }
    }

    /// The answer to GET.
    pub(crate) fn to_body(proxy: Option<&Proxy>) -> Value {
        let Some(proxy) = proxy else { return json!({"http_configuration": {}}) };
        let mut settings = json!({"ip": proxy.host, "port": proxy.port});
        if let Some(user) = &proxy.user {
            settings["user"] = json!(user);
        }
        if proxy.password.is_some() {
            settings["password"] = json!(MASK);
        }
        json!({"http_configuration": settings})
    }

    /// Reads `license-network.json`. An unusable file is an error and does not count as "no proxy", which
    /// would bypass the configured one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(view: &View) -> Result<Option<Proxy>, Error> {
        match view.read(FILE, LARGEST_FILE) {
            Ok(None) => Ok(None),
            Ok(Some(contents)) => Proxy::from_file(&contents).map_err(|error| {
                format!("{} is damaged: {error}", view.path(FILE).display()).into()
            }),
            Err(error) => Err(error.to_string().into()),
        }
    }

    /// Writes `license-network.json`.
    ///
    /// # Errors
    /// As [`Folder::replace`].
    pub(crate) fn save(proxy: Option<&Proxy>, folder: &Folder) -> Result<(), store::Error> {
        folder.replace(FILE, &Proxy::to_file(proxy))
    }

    /// The contents of `license-network.json`.
    pub(crate) fn to_file(proxy: Option<&Proxy>) -> Zeroizing<Vec<u8>> {
        let mut file = Proxy::to_body(proxy);
        if let Some(password) = proxy.and_then(|proxy| proxy.password.as_ref()) {
            file["http_configuration"]["password"] = json!(password.as_str());
        }
        file["version"] = json!(VERSION);
        Zeroizing::new(format!("{file:#}\n").into_bytes())
    }

    /// Reads the contents of `license-network.json`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn from_file(contents: &[u8]) -> Result<Option<Proxy>, Error> {
        Proxy::from_body(Value::Object(json::versioned(contents, VERSION)?), None)
    }
}

fn from_members(
    mut settings: Map<String, Value>,
    present: Option<&Proxy>,
) -> Result<Option<Proxy>, Error> {
    let host = text(settings.remove("ip"), "ip")?;
    let port = port(settings.remove("port"))?;
    let user = credential(settings.remove("user"), "user")?;
    let password = credential(settings.remove("password"), "password")?.map(Zeroizing::new);
    nothing_else(&settings, &["ip", "port", "user", "password"])?;
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    let (host, port) = match (host, port) {
        (None, None) if user.is_none() && password.is_none() => return Ok(None),
        (Some(host), Some(port)) => (host, port),
        (None, _) => return Err("ip is missing: the host name or address of the proxy".into()),
        (_, None) => return Err("port is missing: the port of the proxy".into()),
    };
    if user.is_none() && password.is_some() {
        return Err("password without user".into());
    }
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err("user holds a colon, which Basic authentication can't carry (RFC 7617)".into());
    }
    let kept = password.as_ref().is_some_and(|password| password.as_str() == MASK);
    let host = proxy_host(&host)?.to_owned();
    let password = if kept {
        // Only for the host and user it was set for, so that it cannot be sent to another proxy.
        let same = present.filter(|present| present.host == host && present.user == user);
        let known = same.and_then(|present| present.password.clone());
        Some(known.ok_or("password is the mask that GET shows; give the password itself")?)
    } else {
        password
    };
    Ok(Some(Proxy { host, port, user, password }))
}

/// Accepts a host name or an address, and removes the brackets of an IPv6 address.
fn proxy_host(host: &str) -> Result<&str, Error> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<Ipv6Addr>().is_ok() || bare == host && is_name(host) {
        return Ok(bare);
    }
    if host.contains('/') {
        return Err("ip is a URL: give the host alone in ip and the port in port".into());
    }
    if host.contains('@') {
        return Err(
            "ip contains more than the host: user, password and port have keys of their own".into(),
        );
    }
    let with_port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    if with_port.is_some_and(|(host, _)| proxy_host(host).is_ok()) {
        return Err("ip contains the port too: move it to port".into());
    }
    Err("ip is neither a host name nor an address".into())
}

/// Accepts labels of letters, digits and hyphens (RFC 1123 section 2.1), and underscores, which some networks
/// use. A name that ends in a number must be an address, as in browsers (WHATWG URL, "ends in a number").
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let ends_in_a_number = last.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253
        && name.split('.').all(label)
        && (!ends_in_a_number || host.parse::<Ipv4Addr>().is_ok())
}

/// Accepts a string (ML-17) or a number (MA-15).
fn port(value: Option<Value>) -> Result<Option<u16>, Error> {
    let wrong = || Error::from("port is not a number from 1 to 65535");
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => match text.trim() {
            "" => return Ok(None),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        },
        Some(Value::Number(number)) => {
            number.as_u64().and_then(|number| u16::try_from(number).ok()).ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    if number == 0 { Err(wrong()) } else { Ok(Some(number)) }
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is not a string").into()),
    }
}

fn credential(value: Option<Value>, name: &str) -> Result<Option<String>, Error> {
    let found = text(value, name)?;
    let bad = |text: &String| text.len() > LONGEST_CREDENTIAL || text.chars().any(char::is_control);
    if found.as_ref().is_some_and(bad) {
        let what = "bytes or contains a control character";
        return Err(format!("{name} is longer than {LONGEST_CREDENTIAL} {what}").into());
    }
    Ok(found)
}

/// Accepts only an empty relay, which clients send (MA-15); relays are not supported.
fn relay(value: Option<Value>) -> Result<(), Error> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Number(number) => number.as_u64() == Some(0),
        _ => false,
    };
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(members)) if members.values().all(empty) => Ok(()),
        Some(_) => Err("relay_configuration is not supported; use http_configuration".into()),
    }
}

fn nothing_else(members: &Map<String, Value>, known: &[&str]) -> Result<(), Error> {
    match members.keys().next() {
        None => Ok(()),
        Some(name) => Err(json::unknown_key(name, known).into()),
    }
}

#[cfg(test)]
mod tests;
