//! A strict JSON reader: `serde_json`, except that a duplicate key is an error.
//!
//! `serde_json` silently keeps the last of two equal keys, and only the writer knows which one was meant.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::nearest::nearest;

/// Reads one JSON document; the error says what is wrong with it, with line and column.
///
/// Nesting ends at 128 levels, `serde_json`'s own limit. The caller limits the length.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let what = "not valid JSON: this is UTF-16, as PowerShell writes it; save it as UTF-8";
        return Err(what.to_owned());
    }
    // A byte order mark may be there and be ignored (RFC 8259, section 8.1).
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match serde_json::from_slice::<Strict>(text) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => Err(format!("not valid JSON: {error}")),
    }
}

/// The members of a file of ours, but for its version, which has to be `version`.
///
/// # Errors
/// What it is instead, without quoting it.
pub(crate) fn versioned(file: &[u8], version: u64) -> Result<Map<String, Value>, String> {
    let Ok(Value::Object(mut members)) = parse(file) else {
        return Err("it is not a JSON object".to_owned());
    };
    match members.remove("version").as_ref().and_then(Value::as_u64) {
        Some(known) if known == version => Ok(members),
        _ => Err(format!("its version is not {version}")),
    }
}

/// Describes a key that is not among `known`, without repeating it: misplaced text may be a secret.
pub(crate) fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("an unknown key; did you mean {meant:?}?"),
        None => {
            let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
            format!("an unknown key; known are {}", known.join(", "))
        }
    }
}

/// The kind of `value` for a person.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Strict, D::Error> {
        input.deserialize_any(Builder).map(Strict)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                // The key is not repeated because it may be a misplaced secret; the parser adds the line.
                return Err(A::Error::custom("duplicate key"));
            }
            let Strict(value) = members.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::parse;

    #[test]
    fn every_kind_of_value_arrives() {
        let text = r#"{"a": [null, true, -1, 18446744073709551615, 1.5, "x"], "b": {}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), text.parse::<serde_json::Value>().unwrap());
    }

    #[test]
    fn a_duplicate_key_is_reported_with_its_place() {
        let error = parse(b"{\"a\": 1,\n \"b\": {\"c\": 1, \"c\": 2}}").unwrap_err();
        assert!(error.contains("duplicate key at line 2 column"), "{error}");
    }

    #[test]
    fn what_windows_puts_before_the_document_is_skipped_or_named() {
        let text = "\u{feff}{\"a\": 1}\r\n";
        assert_eq!(parse(text.as_bytes()).unwrap()["a"], 1);
        let wide =
            |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
        for wide in [wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            let error = parse(&wide).unwrap_err();
            assert!(error.contains("UTF-16") && error.contains("save it as UTF-8"), "{error}");
        }
    }

    #[test]
    fn what_follows_the_document_is_an_error() {
        assert!(parse(b"{} {}").is_err());
        assert!(parse(b"").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
