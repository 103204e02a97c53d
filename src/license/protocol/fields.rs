//! Reading the members of a JSON object strictly: a member that is there has its type and range.

use serde_json::{Map, Value};

use super::certificate::INVISIBLE;
use super::hex::{Digest, RequestId};
use super::key::PublicKey;

/// Numbers larger than this are not exact in every JSON reader (RFC 8259 section 6).
pub(crate) const LARGEST: i64 = (1 << 53) - 1;

/// The members of one object; unknown ones are ignored, since a later release may add some.
pub(crate) struct Fields<'v>(&'v Map<String, Value>);

/// Which member is missing or wrong.
pub(crate) type Fault = String;

impl<'v> Fields<'v> {
    pub(crate) fn of(value: &'v Value) -> Result<Fields<'v>, Fault> {
        value.as_object().map(Fields).ok_or_else(|| "not a JSON object".to_owned())
    }

    fn read<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<T, Fault> {
        let value = self.0.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        read(value).ok_or_else(|| format!("`{name}` is not {kind}"))
    }

    pub(crate) fn text(&self, name: &str, longest: usize) -> Result<String, Fault> {
        self.read(name, &format!("a text of at most {longest} bytes"), |value| {
            value.as_str().filter(|text| text.len() <= longest).map(str::to_owned)
        })
    }

    /// A text that `parse` understands.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        kind: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        self.read(name, kind, |value| value.as_str().and_then(parse))
    }

    /// The same, where null or absent means none.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        kind: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.parsed(name, kind, parse).map(Some),
        }
    }

    /// A whole number from 0 to [`LARGEST`].
    pub(crate) fn count(&self, name: &str) -> Result<i64, Fault> {
        self.read(name, "a whole number from 0 to 2^53-1", |value| {
            value.as_i64().filter(|number| (0..=LARGEST).contains(number))
        })
    }

    /// Seconds since 1970, or another whole number of either sign.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Fault> {
        self.read(name, "a whole number", |value| {
            value.as_i64().filter(|number| (-LARGEST..=LARGEST).contains(number))
        })
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Fault> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'v Vec<Value>, Fault> {
        self.read(name, "an array", Value::as_array)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Fields<'v>, Fault> {
        self.read(name, "an object", Value::as_object).map(Fields)
    }

    pub(crate) fn digest(&self, name: &str) -> Result<Digest, Fault> {
        self.parsed(name, "64 lower-case hex digits", Digest::parse)
    }

    pub(crate) fn request_id(&self, name: &str) -> Result<RequestId, Fault> {
        self.parsed(name, "32 lower-case hex digits", RequestId::parse)
    }

    pub(crate) fn public_key(&self, name: &str) -> Result<PublicKey, Fault> {
        self.parsed(name, "a public key", PublicKey::parse)
    }
}

/// A UUID as it is written, in lower case.
pub(crate) fn computer_id(text: &str) -> Option<String> {
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        });
    fits.then(|| text.to_owned())
}

/// A license code as people write, copy and dictate it: without the blanks, the marks that nobody sees and
/// the dashes, whichever of Unicode's a program has made of them. What is left is [`license_code`]'s affair.
pub(crate) fn typed_code(text: &str) -> String {
    let dash = |c: char| c == '-' || ('\u{2010}'..='\u{2015}').contains(&c) || c == '\u{2212}';
    text.chars().filter(|c| !c.is_whitespace() && !INVISIBLE.contains(c) && !dash(*c)).collect()
}

/// A license code: 18 decimal digits.
pub(crate) fn license_code(text: &str) -> Option<String> {
    (text.len() == 18 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::typed_code;

    #[test]
    fn a_code_may_be_written_in_groups() {
        for typed in [
            "494953679762904933",
            "494953 679762 904933",
            "4949-5367-9762-9049-33\r\n",
            "\u{feff}4949\u{2013}5367\u{2011}9762\u{a0}9049\u{2212}33\u{200b}",
        ] {
            assert_eq!(typed_code(typed), "494953679762904933", "{typed:?}");
        }
        assert_eq!(typed_code("49495367976290493x "), "49495367976290493x");
    }
}
