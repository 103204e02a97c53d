//! Which names, subject and key a certificate shall have, checked before a key is made.

use std::net::IpAddr;

use rcgen::{DistinguishedName, DnType, DnValue, SanType};

use super::KeyType;
use crate::security::addresses::{Host, LONGEST_COMMON_NAME};
use crate::util::host_name::is_host_name;

/// Public authorities take no more names.
const MOST_NAMES: usize = 100;

/// The contents of a request.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(super) names: Vec<SanType>,
    pub(super) subject: DistinguishedName,
    pub(super) key_type: KeyType,
}

/// A member of the subject: its short name (RFC 4514 section 3), its kind, and the most characters (RFC 5280
/// appendix A).
type Field = (&'static str, DnType, usize);

impl Wanted {
    /// The short names that a subject may have.
    pub(crate) fn subject_names() -> [&'static str; 6] {
        Wanted::SUBJECT.map(|(short, ..)| short)
    }

    /// The members that a subject may have, in the order in which they are written.
    const SUBJECT: [Field; 6] = [
        ("C", DnType::CountryName, 2),
        ("ST", DnType::StateOrProvinceName, 128),
        ("L", DnType::LocalityName, 128),
        ("O", DnType::OrganizationName, 64),
        ("OU", DnType::OrganizationalUnitName, 64),
        ("CN", DnType::CommonName, LONGEST_COMMON_NAME),
    ];

    /// `names` are host names and addresses. If there are none, they are those of this machine and `called`,
    /// the name that a client used for it. `subject` has pairs of a short name and its value. Without `CN` it
    /// is the first host name that fits.
    ///
    /// # Errors
    /// What is wrong, without repeating a value: misplaced text may be a secret.
    pub(crate) fn new(
        names: &[String],
        called: Option<&str>,
        subject: &[(String, String)],
        key_type: KeyType,
    ) -> Result<Wanted, String> {
        let names = match names {
            [] => own_names(called),
            names if names.len() > MOST_NAMES => {
                return Err(format!(
                    "\"names\" holds {} names, and {MOST_NAMES} is the most",
                    names.len()
                ));
            }
            names => names
                .iter()
                .enumerate()
                .map(|(index, text)| {
                    name(text).ok_or_else(|| {
                        format!(
                            "name {} of \"names\" is neither a host name in ASCII, as in \
                             \"box.example.com\" or \"*.example.com\", nor an IP address",
                            index + 1
                        )
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let subject = distinguished_name(subject, &names)?;
        Ok(Wanted { names, subject, key_type })
    }
}

/// What this machine is called and reached by, without the names that mean "this machine" everywhere.
fn own_names(called: Option<&str>) -> Vec<SanType> {
    let host = Host::detect();
    let called = called.into_iter().map(str::to_owned);
    let addresses = host.addresses.iter().filter(|address| !address.is_loopback());
    let mut names: Vec<SanType> = Vec::new();
    for text in called.chain(host.names).chain(addresses.map(IpAddr::to_string)) {
        match name(&text) {
            Some(SanType::IpAddress(address)) if address.is_loopback() => {}
            Some(_) if text == "localhost" => {}
            Some(name) if !names.contains(&name) => names.push(name),
            _ => {}
        }
    }
    if names.is_empty() {
        names.extend(name(&host.common_name));
    }
    names
}

fn name(text: &str) -> Option<SanType> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address.to_canonical()));
    }
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let labels = text.strip_prefix("*.").unwrap_or(&text);
    if !is_host_name(labels) {
        return None;
    }
    text.as_str().try_into().ok().map(SanType::DnsName)
}

fn distinguished_name(
    given: &[(String, String)],
    names: &[SanType],
) -> Result<DistinguishedName, String> {
    let mut subject = DistinguishedName::new();
    for (short, kind, most) in Wanted::SUBJECT {
        let value = given.iter().find(|(name, _)| name == short).map(|(_, value)| value.trim());
        match value {
            Some(value) => subject.push(kind, checked(short, value, most)?),
            None if short == "CN" => {
                if let Some(name) = common_name(names) {
                    subject.push(kind, name);
                }
            }
            None => {}
        }
    }
    Ok(subject)
}

fn checked(short: &str, value: &str, most: usize) -> Result<DnValue, String> {
    let length = value.chars().count();
    if short == "C" {
        let country = value.to_ascii_uppercase();
        let two_letters = length == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let value = two_letters.then(|| country.as_str().try_into().ok()).flatten();
        return value.map(DnValue::PrintableString).ok_or_else(|| {
            "\"C\" of \"subject\" is not a country in two letters (ISO 3166)".to_owned()
        });
    }
    if length == 0 || length > most || value.chars().any(char::is_control) {
        return Err(format!(
            "{short:?} of \"subject\" does not have 1 to {most} characters, or has a control character"
        ));
    }
    Ok(DnValue::Utf8String(value.to_owned()))
}

fn common_name(names: &[SanType]) -> Option<String> {
    names.iter().find_map(|name| match name {
        SanType::DnsName(name) if name.as_str().len() <= LONGEST_COMMON_NAME => {
            Some(name.as_str().to_owned())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{KeyType, Wanted, name};

    fn error(names: &[&str], subject: &[(&str, &str)]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let subject: Vec<(String, String)> =
            subject.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Wanted::new(&names, None, &subject, KeyType::P256).map(drop).unwrap_err()
    }

    #[test]
    fn names_are_host_names_wildcards_and_addresses() {
        for good in
            ["box", "Box.Example.com.", "*.example.com", "192.0.2.7", "2001:db8::7", "[::7]"]
        {
            assert!(name(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "*",
            "a..b",
            "-a.b",
            "a_b",
            "b\u{fc}ro.example",
            "a b",
            "https://a",
            "*.*.a",
            "a/b",
        ] {
            assert!(name(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_not_repeated() {
        let long = "x".repeat(65);
        for (names, subject, what) in [
            (vec!["a.example", "s3cret!"], vec![], "name 2 of"),
            (vec!["a"], vec![("O", long.as_str())], "\"O\" of \"subject\""),
            (vec!["a"], vec![("O", "")], "\"O\" of \"subject\""),
            (vec!["a"], vec![("C", "s3")], "\"C\" of \"subject\""),
            (vec!["a"; 101], vec![], "101 names"),
        ] {
            let error = error(&names, &subject);
            assert!(error.contains(what) && !error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn without_names_they_are_those_of_the_machine_and_the_name_it_was_called_by() {
        let wanted = Wanted::new(&[], Some("box.example"), &[], KeyType::P256).unwrap();
        assert_eq!(wanted.names[0], name("box.example").unwrap());
        assert!(!wanted.names.contains(&name("localhost").unwrap()));
        assert!(!wanted.names.contains(&name("127.0.0.1").unwrap()));
    }
}
