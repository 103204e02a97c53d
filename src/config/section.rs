//! Takes settings out of a JSON object one by one; those left at the end are unknown.
//!
//! Every mistake is noted with its path and parsing continues, so that one run reports them all.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::util::json::kind;
use crate::util::nearest::nearest;

/// The mistakes found while parsing.
#[derive(Default)]
pub(super) struct Diagnostics(RefCell<Vec<String>>);

impl Diagnostics {
    pub(super) fn note(&self, path: &str, error: impl std::fmt::Display) {
        let path = if path.is_empty() { "the settings" } else { path };
        self.0.borrow_mut().push(format!("{path}: {error}"));
    }

    pub(super) fn into_messages(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// A JSON object.
pub(super) struct Section<'a> {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    errors: &'a Diagnostics,
}

impl<'a> Section<'a> {
    /// Takes the value of `key`, if present.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let value = self.members.shift_remove(key)?;
        Some(Field { path: below(&self.path, key), value, errors: self.errors })
    }

    /// Takes the value of `key`; its absence is a mistake.
    pub(super) fn require(&mut self, key: &'static str) -> Option<Field<'a>> {
        let found = self.take(key);
        if found.is_none() {
            self.note(format_args!("{key:?} is missing"));
        }
        found
    }

    /// Takes every member that is left, in the order of the file.
    pub(super) fn take_all(&mut self) -> Vec<(String, Field<'a>)> {
        let errors = self.errors;
        std::mem::take(&mut self.members)
            .into_iter()
            .map(|(key, value)| {
                let path = below(&self.path, &key);
                (key, Field { path, value, errors })
            })
            .collect()
    }

    /// Reports the members that were not taken.
    pub(super) fn end(self) {
        for key in self.members.keys() {
            let hint = nearest(key, self.known.iter().copied())
                .map(|known| format!(", did you mean {known:?}?"))
                .unwrap_or_else(|| format!("; known here: {}", quoted(&self.known)));
            self.errors.note(&below(&self.path, key), format_args!("unknown setting{hint}"));
        }
    }

    /// Reports a mistake about this object as a whole.
    pub(super) fn note(&self, error: impl std::fmt::Display) {
        self.errors.note(&self.path, error);
    }
}

/// One value with its path.
#[derive(Clone)]
pub(super) struct Field<'a> {
    path: String,
    value: Value,
    errors: &'a Diagnostics,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: Value, errors: &'a Diagnostics) -> Field<'a> {
        Field { path: String::new(), value, errors }
    }

    pub(super) fn note(&self, error: impl std::fmt::Display) {
        self.errors.note(&self.path, error);
    }

    pub(super) fn section(self) -> Option<Section<'a>> {
        match self.value {
            Value::Object(members) => {
                Some(Section { path: self.path, members, known: Vec::new(), errors: self.errors })
            }
            _ => self.wrong("an object"),
        }
    }

    /// The number of items of an array; 1 for anything else, which [`Field::items`] will reject.
    pub(super) fn count(&self) -> usize {
        self.value.as_array().map_or(1, Vec::len)
    }

    pub(super) fn items(self) -> Option<Vec<Field<'a>>> {
        match self.value {
            Value::Array(values) => Some(
                values
                    .into_iter()
                    .enumerate()
                    .map(|(index, value)| Field {
                        path: format!("{}[{index}]", self.path),
                        value,
                        errors: self.errors,
                    })
                    .collect(),
            ),
            _ => self.wrong("an array"),
        }
    }

    pub(super) fn text(self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text),
            _ => self.wrong("a string"),
        }
    }

    /// A string that `accept` takes; `wanted` describes it in the error message.
    pub(super) fn text_as<T>(
        self,
        wanted: &str,
        accept: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.value.as_str().and_then(accept) {
            Some(value) => Some(value),
            None => self.wrong(wanted),
        }
    }

    pub(super) fn texts(self) -> Option<Vec<String>> {
        let items = self.items()?;
        let count = items.len();
        let texts: Vec<String> = items.into_iter().filter_map(Field::text).collect();
        (texts.len() == count).then_some(texts)
    }

    pub(super) fn flag(self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(flag),
            _ => self.wrong("true or false"),
        }
    }

    /// True for the JSON value `true` alone.
    pub(super) fn is_true(&self) -> bool {
        self.value == Value::Bool(true)
    }

    pub(super) fn number(self, wanted: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.wrong(format_args!(
                "{wanted}, a number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    pub(super) fn absolute_path(self) -> Option<PathBuf> {
        self.text_as("an absolute path", |text| {
            (text.starts_with('/') && !text.contains('\0')).then(|| PathBuf::from(text))
        })
    }

    /// One of `choices`, by name.
    pub(super) fn choice<T: Copy>(self, choices: &[(&'static str, T)]) -> Option<T> {
        let word = self.value.as_str().unwrap_or_default();
        if let Some((_, value)) = choices.iter().find(|(known, _)| *known == word) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
        let hint = nearest(word, words.iter().copied())
            .map(|known| format!(", did you mean {known:?}?"))
            .unwrap_or_default();
        self.note(format_args!(
            "expected one of {}; found {}{hint}",
            quoted(&words),
            shown(&self.value)
        ));
        None
    }

    /// A value that `read` takes; its error is a sentence without the value.
    pub(super) fn read<T>(self, read: impl FnOnce(Value) -> Result<T, String>) -> Option<T> {
        read(self.value.clone()).map_err(|error| self.note(error)).ok()
    }

    fn wrong<T>(&self, wanted: impl std::fmt::Display) -> Option<T> {
        self.note(format_args!("expected {wanted}; found {}", shown(&self.value)));
        None
    }
}

/// Longest wrong value that is quoted, in characters.
const LONGEST_QUOTE: usize = 60;

/// The value for an error message. Long texts may be a key, and URLs with a user may hold a password
/// (RFC 3986 section 3.2.1), so neither is quoted.
fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        Value::String(text) if text.contains('@') => "a text with an @".to_owned(),
        Value::String(text) if text.chars().count() > LONGEST_QUOTE => {
            format!("a text of {} characters", text.chars().count())
        }
        other => other.to_string(),
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
