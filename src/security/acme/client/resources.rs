//! The resources of an authority (RFC 8555 section 7.1), read from its answers. Only what is used here is
//! kept, every URL is `https://`, and errors complete "its answer".

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Uri;

use super::problem::Problem;
use crate::util::words::words;

/// Longest URL in bytes.
const LONGEST_URL: usize = 2048;

/// Longest token of a challenge in characters; authorities send 43.
const LONGEST_TOKEN: usize = 256;

const UNKNOWN_STATUS: &str = "has an unknown \"status\"";

/// What an authority offers (RFC 8555 section 7.1.1).
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    /// RFC 9773 section 4.
    pub(super) renewal_info: Option<String>,
}

impl Directory {
    pub(super) fn read(value: &Value) -> Result<Directory, String> {
        Ok(Directory {
            new_nonce: url(value, "newNonce")?,
            new_account: url(value, "newAccount")?,
            new_order: url(value, "newOrder")?,
            renewal_info: optional_url(value, "renewalInfo")?,
        })
    }
}

words! {
    /// How far an order is (RFC 8555 section 7.1.6).
    pub(crate) enum OrderStatus {
        /// Challenges are to be met.
        Pending = "pending",
        /// It waits for the certificate request.
        Ready = "ready",
        /// The certificate is being issued.
        Processing = "processing",
        /// The certificate is there.
        Valid = "valid",
        /// It failed, or was not finished in time.
        Invalid = "invalid",
    }
}

/// RFC 8555 section 7.1.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) status: OrderStatus,
    /// URLs.
    pub(crate) authorizations: Vec<String>,
    /// The URL that takes the certificate request.
    pub(crate) finalize: String,
    /// The URL of the certificate, where the order is valid.
    pub(crate) certificate: Option<String>,
    /// Why it is invalid.
    pub(crate) error: Option<Problem>,
    /// When to look at it again.
    pub(crate) retry_after: Option<Duration>,
}

impl Order {
    pub(super) fn read(value: &Value, retry_after: Option<Duration>) -> Result<Order, String> {
        Ok(Order {
            status: OrderStatus::parse(text(value, "status")?).ok_or(UNKNOWN_STATUS)?,
            authorizations: list(value, "authorizations")?
                .iter()
                .map(|item| https(item.as_str(), "authorizations"))
                .collect::<Result<_, _>>()?,
            finalize: url(value, "finalize")?,
            certificate: optional_url(value, "certificate")?,
            error: value.get("error").and_then(Problem::read),
            retry_after,
        })
    }
}

words! {
    /// RFC 8555 section 7.1.6.
    pub(crate) enum AuthorizationStatus {
        /// A challenge is to be met.
        Pending = "pending",
        /// The identifier is this account's.
        Valid = "valid",
        /// A challenge was not met.
        Invalid = "invalid",
        /// Given up by the account.
        Deactivated = "deactivated",
        /// Too old.
        Expired = "expired",
        /// Taken back by the authority.
        Revoked = "revoked",
    }
}

/// What the authority wants to see before it certifies one identifier (RFC 8555 section 7.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) status: AuthorizationStatus,
    /// A host name in lower case, or an IP address (RFC 8738).
    pub(crate) name: String,
    /// One of them is to be met. Those without a usable token are left out.
    pub(crate) challenges: Vec<Challenge>,
    /// When to look at it again.
    pub(crate) retry_after: Option<Duration>,
}

impl Authorization {
    pub(super) fn read(
        value: &Value,
        retry_after: Option<Duration>,
    ) -> Result<Authorization, String> {
        Ok(Authorization {
            status: AuthorizationStatus::parse(text(value, "status")?).ok_or(UNKNOWN_STATUS)?,
            name: name(&value["identifier"]).ok_or("has no usable \"identifier\"")?,
            challenges: list(value, "challenges")?.iter().filter_map(Challenge::read).collect(),
            retry_after,
        })
    }
}

/// A way to show that an identifier is this appliance's (RFC 8555 section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// As in `http-01`.
    pub(crate) kind: String,
    /// Where the authority is told that it may look.
    pub(crate) url: String,
    /// At most 256 characters of base64url, so that it fits a path.
    pub(crate) token: String,
    /// Whether it waits for [`respond`](super::Client::respond).
    pub(crate) is_pending: bool,
    /// Why it was not met.
    pub(crate) error: Option<Problem>,
}

impl Challenge {
    /// `None` if it is not one that could be met: authorities may offer kinds that are not known here.
    fn read(value: &Value) -> Option<Challenge> {
        let status = value.get("status").and_then(Value::as_str)?;
        let token = value.get("token")?.as_str()?;
        let is_token = (1..=LONGEST_TOKEN).contains(&token.len()) && is_base64url(token);
        is_token.then_some(Challenge {
            kind: value.get("type")?.as_str()?.to_owned(),
            url: url(value, "url").ok()?,
            token: token.to_owned(),
            is_pending: status == "pending",
            error: value.get("error").and_then(Problem::read),
        })
    }
}

/// Letters, digits, `-` and `_` (RFC 4648 section 5), without padding.
pub(super) fn is_base64url(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Accepts `https://host…` without user name and password (RFC 8555 section 6.1).
pub(super) fn is_https(url: &str) -> bool {
    let host = |uri: &Uri| uri.authority().is_some_and(|host| !host.as_str().contains('@'));
    url.len() <= LONGEST_URL
        && url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && host(&uri))
}

fn name(identifier: &Value) -> Option<String> {
    let text = identifier.get("value")?.as_str()?;
    match identifier.get("type")?.as_str()? {
        "dns" => Some(text.to_ascii_lowercase()),
        "ip" => text.parse::<IpAddr>().ok().map(|address| address.to_string()),
        _ => None,
    }
}

fn https(url: Option<&str>, name: &str) -> Result<String, String> {
    let url = url.ok_or_else(|| format!("has no {name:?}"))?;
    if is_https(url) {
        Ok(url.to_owned())
    } else {
        Err(format!("has a {name:?} that is no URL of https (RFC 8555 section 6.1)"))
    }
}

fn url(value: &Value, name: &str) -> Result<String, String> {
    https(value.get(name).and_then(Value::as_str), name)
}

fn optional_url(value: &Value, name: &str) -> Result<Option<String>, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => url(value, name).map(Some),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, String> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| format!("has no {name:?}"))
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v [Value], String> {
    let list = value.get(name).and_then(Value::as_array).map(Vec::as_slice);
    list.ok_or_else(|| format!("has no {name:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Authorization, Order, is_https};

    #[test]
    fn only_https_urls_without_credentials_are_taken() {
        for url in ["https://ca.example/", "https://ca.example:14000/dir?a=b", "https://[::1]/x"] {
            assert!(is_https(url), "{url}");
        }
        let long = format!("https://ca.example/{}", "x".repeat(2048));
        for url in [
            "http://ca.example/",
            "ftp://ca.example/",
            "//ca.example/",
            "/order/1",
            "https:///x",
            "https://",
            "https://user:word@ca.example/",
            "https://ca.example/a b",
            "https://ca.example/\r\nX: y",
            long.as_str(),
            "",
        ] {
            assert!(!is_https(url), "{url}");
        }
    }

    #[test]
    fn an_order_is_whole_or_says_what_is_missing() {
        let whole = json!({
            "status": "pending",
            "authorizations": ["https://ca.example/a/1"],
            "finalize": "https://ca.example/f/1",
        });
        assert_eq!(Order::read(&whole, None).unwrap().authorizations, ["https://ca.example/a/1"]);
        for (name, value, words) in [
            ("status", json!(null), "has no \"status\""),
            ("status", json!("new"), "unknown \"status\""),
            ("finalize", json!("http://ca.example/f/1"), "\"finalize\" that is no URL of https"),
            ("authorizations", json!("x"), "has no \"authorizations\""),
            ("authorizations", json!(["x"]), "\"authorizations\" that is no URL"),
            ("certificate", json!("file:///etc/passwd"), "\"certificate\" that is no URL"),
        ] {
            let mut broken = whole.clone();
            broken[name] = value;
            let error = Order::read(&broken, None).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn challenges_whose_token_does_not_fit_a_path_are_left_out() {
        let url = "https://ca.example/c";
        let challenge = |token: serde_json::Value| {
            let mut challenge = json!({"type": "http-01", "url": url, "status": "pending"});
            challenge["token"] = token;
            challenge
        };
        let tokens = [json!("../x"), json!("a%2f"), json!(""), json!("x".repeat(257)), json!(1)];
        let mut challenges: Vec<_> = tokens.into_iter().map(challenge).collect();
        challenges.push(challenge(json!("DGyRejmCefe7v4NfDGDKfA_-")));
        challenges.push(json!({"type": "dns-persist-01", "url": url, "status": "pending"}));
        let authorization = json!({
            "status": "pending",
            "identifier": {"type": "ip", "value": "2001:DB8::1"},
            "challenges": challenges,
        });
        let read = Authorization::read(&authorization, None).unwrap();
        assert_eq!(read.name, "2001:db8::1");
        assert_eq!(read.challenges.len(), 1);
        assert_eq!(read.challenges.first().unwrap().token, "DGyRejmCefe7v4NfDGDKfA_-");
    }
}
