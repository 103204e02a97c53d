//! Strict reading of the members of a JSON object: a member that is present has its type and range.

use std::fmt;

use serde_json::{Map, Value};

use super::hex::{Digest, RequestId};
use super::key::PublicKey;
use super::random::CryptoError;
use crate::util::json;

/// Invisible characters in pasted text: the byte order mark that Windows puts before a text, and the
/// zero-width space at which mail programs break long words.
pub(crate) const INVISIBLE: [char; 2] = ['\u{feff}', '\u{200b}'];

/// Numbers larger than this are not exact in every JSON reader (RFC 8259 section 6).
pub(crate) const LARGEST: i64 = (1 << 53) - 1;

/// The members of one object; unknown ones are ignored because a later release may add some.
pub(crate) struct Fields<'v>(&'v Map<String, Value>);

/// What is wrong with a document, such as the name of a missing member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(what: String) -> Error {
        Error(what)
    }
}

impl From<&str> for Error {
    fn from(what: &str) -> Error {
        Error(what.to_owned())
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Error {
        Error(error.to_string())
    }
}

impl<'v> Fields<'v> {
    pub(crate) fn of(value: &'v Value) -> Result<Fields<'v>, Error> {
        value.as_object().map(Fields).ok_or_else(|| "not a JSON object".into())
    }

    /// Refuses members that are not among `names`.
    pub(crate) fn known(&self, names: &[&str]) -> Result<(), Error> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!("it has {}", json::unknown_key(name, names)).into()),
        }
    }

    /// Checks the version of a format.
    pub(crate) fn version(&self, supported: i64) -> Result<(), Error> {
        match self.count("v")? {
            found if found == supported => Ok(()),
            other => Err(format!("version {other} is not supported, only {supported}").into()),
        }
    }

    fn read<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<T, Error> {
        let value = self.0.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        read(value).ok_or_else(|| format!("`{name}` is not {kind}").into())
    }

    pub(crate) fn text(&self, name: &str, longest: usize) -> Result<String, Error> {
        self.read(name, &format!("a text of at most {longest} bytes"), |value| {
            value.as_str().filter(|text| text.len() <= longest).map(str::to_owned)
        })
    }

    /// A text that `parse` accepts.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        kind: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        self.read(name, kind, |value| value.as_str().and_then(parse))
    }

    /// A text that `parse` accepts; `None` if it is null or absent.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        kind: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.parsed(name, kind, parse).map(Some),
        }
    }

    /// A whole number from 0 to [`LARGEST`].
    pub(crate) fn count(&self, name: &str) -> Result<i64, Error> {
        self.read(name, "a whole number from 0 to 2^53-1", |value| {
            value.as_i64().filter(|number| (0..=LARGEST).contains(number))
        })
    }

    /// The same, as a number without a sign.
    pub(crate) fn unsigned(&self, name: &str) -> Result<u64, Error> {
        self.count(name).map(i64::unsigned_abs)
    }

    /// Seconds since 1970, or another whole number of either sign.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Error> {
        self.read(name, "a whole number", |value| {
            value.as_i64().filter(|number| (-LARGEST..=LARGEST).contains(number))
        })
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'v Vec<Value>, Error> {
        self.read(name, "an array", Value::as_array)
    }

    /// An array of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        self.list(name, "an array of texts", |value| value.as_str().map(str::to_owned))
    }

    /// An array of values that `read` accepts.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.read(name, kind, |value| value.as_array()?.iter().map(read).collect())
    }

    /// An object whose members `read` reads.
    pub(crate) fn object<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Fields<'v>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(&self.read(name, "an object", Value::as_object).map(Fields)?)
    }

    /// The members of another object, which stand among these.
    pub(crate) fn flat<T>(
        &self,
        _name: &str,
        read: impl FnOnce(&Fields<'v>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(self)
    }

    /// As [`Fields::object`]; `None` if it is null or absent.
    pub(crate) fn present<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Fields<'v>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.object(name, read).map(Some),
        }
    }

    /// As [`Fields::object`]; `absent` if it is null or absent.
    pub(crate) fn or<T>(
        &self,
        name: &str,
        absent: T,
        read: impl FnOnce(&Fields<'v>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        Ok(self.present(name, read)?.unwrap_or(absent))
    }

    pub(crate) fn digest(&self, name: &str) -> Result<Digest, Error> {
        self.parsed(name, "64 lower-case hex digits", Digest::parse)
    }

    pub(crate) fn request_id(&self, name: &str) -> Result<RequestId, Error> {
        self.parsed(name, "32 lower-case hex digits", RequestId::parse)
    }

    pub(crate) fn public_key(&self, name: &str) -> Result<PublicKey, Error> {
        self.parsed(name, "a public key", PublicKey::parse)
    }
}

/// Accepts any text.
#[allow(clippy::unnecessary_wraps)] // one of the readers of a text
pub(crate) fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Accepts a UUID in lower case.
pub(crate) fn computer_id(text: &str) -> Option<String> {
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        });
    fits.then(|| text.to_owned())
}

/// Removes white space, invisible characters and any Unicode dash from a license code that a person typed
/// or pasted. [`license_code`] checks what is left.
pub(crate) fn normalize_code(text: &str) -> String {
    let dash = |c: char| c == '-' || ('\u{2010}'..='\u{2015}').contains(&c) || c == '\u{2212}';
    text.chars().filter(|c| !c.is_whitespace() && !INVISIBLE.contains(c) && !dash(*c)).collect()
}

/// Accepts a license code: 18 decimal digits.
pub(crate) fn license_code(text: &str) -> Option<String> {
    (text.len() == 18 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::normalize_code;

    #[test]
    fn a_code_may_be_written_in_groups() {
        for typed in [
            "494953679762904933",
            "494953 679762 904933",
            "4949-5367-9762-9049-33\r\n",
            "\u{feff}4949\u{2013}5367\u{2011}9762\u{a0}9049\u{2212}33\u{200b}",
        ] {
            assert_eq!(normalize_code(typed), "494953679762904933", "{typed:?}");
        }
        assert_eq!(normalize_code("49495367976290493x "), "49495367976290493x");
    }
}
