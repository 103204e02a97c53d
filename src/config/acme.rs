//! A certificate authority that speaks ACME (RFC 8555): the setting `acme`, which is also the body of `POST acme`.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::util::host_name::is_host_name;
use crate::util::json::{kind, unknown_key};
use crate::util::words::words;

/// Public authorities take no more names.
const MOST_NAMES: usize = 100;
const LONGEST_URL: usize = 2048;
/// Longest address of a contact, and longest key identifier of an account elsewhere.
const LONGEST_TEXT: usize = 256;
/// Largest PEM with roots; a bundle of public authorities has some 220 kB.
const LARGEST_ROOT: usize = 512 << 10;
const MOST_CONTACTS: usize = 10;

/// Shown in place of the key of an external account.
const MASK: &str = "********";

/// Which authority issues the certificate, for which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// Begins with `https://`.
    pub(crate) directory: String,
    /// Host names in lower case and addresses; if there are none, the host name of the machine counts.
    pub(crate) names: Vec<String>,
    /// URLs, as in `mailto:admin@example.com`.
    pub(crate) contact: Vec<String>,
    /// The account at the authority that ours is bound to.
    pub(crate) external_account: Option<ExternalAccount>,
    /// The root that signed the authority's own certificate, in PEM; without it the bundle of the system counts.
    pub(crate) root: Option<String>,
    /// Without it, the first that the authority offers and that can be answered here.
    pub(crate) challenge: Option<ChallengeType>,
    pub(crate) key_type: KeyType,
    /// Whether the authority is reached through the proxy of `license/network`.
    pub(crate) use_license_proxy: bool,
}

/// An account that the authority knows already (RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ExternalAccount {
    pub(crate) kid: String,
    /// In base64url, as authorities hand it out. Never shown, logged or included in an error.
    pub(crate) hmac_key: Zeroizing<String>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalAccount({})", self.kid)
    }
}

impl ExternalAccount {
    /// The key's bytes.
    pub(crate) fn key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(decode(&self.hmac_key).unwrap_or_default())
    }
}

words! {
    /// How the authority tests that a name is ours, as the protocol calls it.
    pub(crate) enum ChallengeType {
        /// A file over plain HTTP on port 80 (RFC 8555 section 8.3).
        Http01 = "http-01",
        /// A certificate in a handshake on port 443 (RFC 8737).
        TlsAlpn01 = "tls-alpn-01",
    }
}

words! {
    /// The kinds of key that are made here, as the API calls them.
    pub(crate) enum KeyType {
        Rsa2048 = "rsa-2048",
        Rsa3072 = "rsa-3072",
        P256 = "ecdsa-p256",
        P384 = "ecdsa-p384",
    }
}

impl Acme {
    /// The members of the object.
    pub(crate) const MEMBERS: [&str; 8] = [
        "directory",
        "names",
        "contact",
        "external_account",
        "root",
        "challenge",
        "key_type",
        "use_license_proxy",
    ];

    /// # Errors
    /// What is wrong, without repeating a value: misplaced text may be a secret.
    pub(crate) fn from_json(value: Value) -> Result<Acme, String> {
        let Value::Object(mut members) = value else {
            return Err(format!("it is {}, not an object", kind(&value)));
        };
        known(&members, &Acme::MEMBERS)?;
        let directory = string(&mut members, "directory")?.ok_or("it has no \"directory\"")?;
        Ok(Acme {
            directory: check_url(directory)?,
            names: strings(&mut members, "names", MOST_NAMES)?
                .iter()
                .enumerate()
                .map(|(index, name)| check_name(index, name))
                .collect::<Result<_, _>>()?,
            contact: strings(&mut members, "contact", MOST_CONTACTS)?
                .into_iter()
                .map(check_contact)
                .collect::<Result<_, _>>()?,
            external_account: external_account(members.remove("external_account"))?,
            root: string(&mut members, "root")?.map(check_root).transpose()?,
            challenge: choice(&mut members, "challenge", ChallengeType::NAMES)?,
            key_type: choice(&mut members, "key_type", KeyType::NAMES)?.unwrap_or(KeyType::P256),
            use_license_proxy: match members.remove("use_license_proxy") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(flag)) => flag,
                Some(_) => return Err("\"use_license_proxy\" is neither true nor false".into()),
            },
        })
    }

    /// The object without its secret, to be shown.
    pub(crate) fn to_public_json(&self) -> Value {
        let mut value = self.to_json();
        if let Some(account) = value.get_mut("external_account") {
            account["hmac_key"] = json!(MASK);
        }
        value
    }

    /// The object with its secret, for our own file.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"directory": self.directory});
        if !self.names.is_empty() {
            value["names"] = json!(self.names);
        }
        if !self.contact.is_empty() {
            value["contact"] = json!(self.contact);
        }
        if let Some(account) = &self.external_account {
            value["external_account"] =
                json!({"kid": account.kid, "hmac_key": account.hmac_key.as_str()});
        }
        if let Some(root) = &self.root {
            value["root"] = json!(root);
        }
        if let Some(challenge) = self.challenge {
            value["challenge"] = json!(challenge);
        }
        value["key_type"] = json!(self.key_type);
        value["use_license_proxy"] = json!(self.use_license_proxy);
        value
    }
}

fn known(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("it has {}", unknown_key(key, known))),
    }
}

fn string(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(other) => Err(format!("{name:?} is {}, not a string", kind(&other))),
    }
}

/// A list of strings, or one string.
fn strings(
    members: &mut Map<String, Value>,
    name: &str,
    most: usize,
) -> Result<Vec<String>, String> {
    let list = match members.remove(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![text]),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(format!("{name:?} is {}, not a list of strings", kind(&other))),
    };
    if list.len() > most {
        return Err(format!("{name:?} holds {} strings, and {most} is the most", list.len()));
    }
    let texts = list.into_iter().map(|item| match item {
        Value::String(text) => Ok(text),
        other => Err(format!("{name:?} holds {}, not only strings", kind(&other))),
    });
    texts.collect()
}

fn choice<T: Copy>(
    members: &mut Map<String, Value>,
    name: &str,
    choices: &[(&'static str, T)],
) -> Result<Option<T>, String> {
    let Some(word) = string(members, name)? else {
        return Ok(None);
    };
    let found = choices.iter().find(|(choice, _)| *choice == word).map(|(_, value)| *value);
    let known: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
    found.map(Some).ok_or_else(|| format!("{name:?} is none of {}", known.join(", ")))
}

/// The protocol is spoken over HTTPS alone (RFC 8555 section 6.1). A user in a URL may be a secret.
fn check_url(text: String) -> Result<String, String> {
    let fits = text.len() <= LONGEST_URL
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@' && byte != b'#')
        && text
            .strip_prefix("https://")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    fits.then_some(text).ok_or_else(|| {
        "\"directory\" is not a URL that begins with \"https://\" and names a host, as in \
         \"https://ca.example.com/acme/directory\""
            .to_owned()
    })
}

fn check_name(index: usize, text: &str) -> Result<String, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_canonical().to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.strip_prefix("*.").is_some_and(is_host_name) {
        return Err(format!(
            "name {} of \"names\" is a wildcard, which authorities issue only after a challenge in the DNS, and \
             that is not supported: give the full names, or request a certificate with POST certificaterequest",
            index + 1
        ));
    }
    is_host_name(&name).then_some(name).ok_or_else(|| {
        format!(
            "name {} of \"names\" is neither a host name in ASCII, as in \"box.example.com\", nor an IP address",
            index + 1
        )
    })
}

fn check_contact(text: String) -> Result<String, String> {
    let text = if text.contains(':') { text } else { format!("mailto:{text}") };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let whole = text.split_once(':').is_some_and(|(_, rest)| !rest.is_empty());
    (plain && whole && text.len() <= LONGEST_TEXT).then_some(text).ok_or_else(|| {
        "\"contact\" holds something else than addresses, as in \"mailto:admin@example.com\""
            .to_owned()
    })
}

fn external_account(value: Option<Value>) -> Result<Option<ExternalAccount>, String> {
    const PLACE: &str = "\"external_account\"";
    let mut members = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(members)) => members,
        Some(other) => return Err(format!("{PLACE} is {}, not an object", kind(&other))),
    };
    known(&members, &["kid", "hmac_key"]).map_err(|what| format!("in {PLACE}, {what}"))?;
    let kid = string(&mut members, "kid")?.filter(|kid| {
        kid.len() <= LONGEST_TEXT && kid.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    });
    let kid = kid.ok_or_else(|| {
        format!("\"kid\" of {PLACE} is not the key identifier that the authority gave you")
    })?;
    let hmac_key = Zeroizing::new(string(&mut members, "hmac_key")?.unwrap_or_default());
    if decode(&hmac_key).is_none_or(|key| Zeroizing::new(key).is_empty()) {
        return Err(format!(
            "\"hmac_key\" of {PLACE} is not base64url, which is the form in which authorities give it"
        ));
    }
    Ok(Some(ExternalAccount { kid, hmac_key }))
}

/// Some authorities print the key with padding, or in the other alphabet of base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(Zeroizing::new(plain).as_bytes()).ok()
}

fn check_root(text: String) -> Result<String, String> {
    let fits = text.len() <= LARGEST_ROOT && text.contains("-----BEGIN CERTIFICATE-----");
    fits.then_some(text).ok_or_else(|| {
        "\"root\" is not a certificate in PEM (\"-----BEGIN CERTIFICATE-----\"); with jq, \
         --rawfile root ca.pem puts a file into JSON"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Acme, ChallengeType, KeyType};

    fn whole() -> Value {
        json!({
            "directory": "https://ca.example/acme/directory",
            "names": ["Box.example.com.", "192.0.2.7", "[2001:db8::7]"],
            "contact": "admin@example.com",
            "external_account": {"kid": "kid-1", "hmac_key": "c2VjcmV0LXNlY3JldA=="},
            "root": "-----BEGIN CERTIFICATE-----\n",
            "challenge": "tls-alpn-01",
            "key_type": "rsa-2048",
            "use_license_proxy": true,
        })
    }

    #[test]
    fn what_is_written_reads_back_and_what_is_shown_has_no_secret() {
        let acme = Acme::from_json(whole()).unwrap();
        assert_eq!(acme.names, ["box.example.com", "192.0.2.7", "2001:db8::7"]);
        assert_eq!(acme.contact, ["mailto:admin@example.com"]);
        assert_eq!(acme.challenge, Some(ChallengeType::TlsAlpn01));
        assert_eq!(acme.external_account.as_ref().unwrap().key().as_slice(), b"secret-secret");
        assert_eq!(Acme::from_json(acme.to_json()).unwrap(), acme);
        let shown = format!("{} {acme:?}", acme.to_public_json());
        assert!(shown.contains("kid-1") && !shown.contains("c2VjcmV0"), "{shown}");
        let least = Acme::from_json(json!({"directory": "https://ca.example/"})).unwrap();
        assert_eq!((least.key_type, least.challenge), (KeyType::P256, None));
        assert_eq!(Acme::from_json(least.to_json()).unwrap(), least);
    }

    #[test]
    fn a_mistake_is_named_by_its_member_and_no_value_is_repeated() {
        for (member, value, what) in [
            ("directory", json!("http://ca.example/s3cret"), "begins with \"https://\""),
            ("directory", json!("https://user:s3cret@ca.example/"), "begins with \"https://\""),
            ("directory", Value::Null, "no \"directory\""),
            ("names", json!(["a.example", "s3cret!"]), "name 2 of"),
            ("names", json!(["*.s3cret.example"]), "wildcard"),
            ("names", json!([7]), "\"names\" holds a number"),
            ("contact", json!("mailto:s3 cret"), "\"contact\""),
            ("external_account", json!({"kid": "s3", "hmac_key": "s3!"}), "base64url"),
            ("external_account", json!({"kid": "s3"}), "base64url"),
            ("external_account", json!({"hmac_key": "czNj"}), "\"kid\""),
            ("external_account", json!({"s3cret": 1}), "unknown key"),
            ("root", json!("s3cret"), "in PEM"),
            ("challenge", json!("dns-01"), "none of http-01, tls-alpn-01"),
            ("key_type", json!("s3cret"), "none of rsa-2048"),
            ("use_license_proxy", json!("s3cret"), "neither true nor false"),
            ("s3cret", json!(1), "unknown key"),
        ] {
            let mut body = whole();
            body[member] = value;
            let error = Acme::from_json(body).unwrap_err();
            assert!(error.contains(what) && !error.contains("s3"), "{error}");
        }
    }
}
