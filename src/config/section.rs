//! Takes settings out of a JSON object one by one; what is left at the end is unknown.
//!
//! Every fault is noted with its path and reading goes on, so that one run names them all.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::util::json::kind;
use crate::util::nearest::nearest;

/// Where the faults of one reading are collected.
#[derive(Default)]
pub(super) struct Faults(RefCell<Vec<String>>);

impl Faults {
    pub(super) fn note(&self, path: &str, fault: impl std::fmt::Display) {
        let path = if path.is_empty() { "the settings" } else { path };
        self.0.borrow_mut().push(format!("{path}: {fault}"));
    }

    pub(super) fn into_sentences(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// One JSON object.
pub(super) struct Section<'a> {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    faults: &'a Faults,
}

impl<'a> Section<'a> {
    /// Takes the value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let value = self.members.shift_remove(key)?;
        Some(Field { path: below(&self.path, key), value, faults: self.faults })
    }

    /// The same, where there is no default: its absence is a fault.
    pub(super) fn require(&mut self, key: &'static str) -> Option<Field<'a>> {
        let found = self.take(key);
        if found.is_none() {
            self.note(format_args!("{key:?} is missing"));
        }
        found
    }

    /// Takes every member that is left, in the order of the file.
    pub(super) fn take_all(&mut self) -> Vec<(String, Field<'a>)> {
        let faults = self.faults;
        std::mem::take(&mut self.members)
            .into_iter()
            .map(|(key, value)| {
                let path = below(&self.path, &key);
                (key, Field { path, value, faults })
            })
            .collect()
    }

    /// Names what nobody took.
    pub(super) fn end(self) {
        for key in self.members.keys() {
            let hint = nearest(key, self.known.iter().copied())
                .map(|known| format!(", did you mean {known:?}?"))
                .unwrap_or_else(|| format!("; known here: {}", quoted(&self.known)));
            self.faults.note(&below(&self.path, key), format_args!("unknown setting{hint}"));
        }
    }

    /// Notes a fault of this object as a whole.
    pub(super) fn note(&self, fault: impl std::fmt::Display) {
        self.faults.note(&self.path, fault);
    }
}

/// One value with its path.
pub(super) struct Field<'a> {
    path: String,
    value: Value,
    faults: &'a Faults,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: Value, faults: &'a Faults) -> Field<'a> {
        Field { path: String::new(), value, faults }
    }

    pub(super) fn note(&self, fault: impl std::fmt::Display) {
        self.faults.note(&self.path, fault);
    }

    pub(super) fn section(self) -> Option<Section<'a>> {
        match self.value {
            Value::Object(members) => {
                Some(Section { path: self.path, members, known: Vec::new(), faults: self.faults })
            }
            _ => self.wrong("an object"),
        }
    }

    /// How many items an array has; 1 for anything else, which [`Field::items`] will refuse.
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
                        faults: self.faults,
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

    /// A string that `accept` takes; `wanted` tells the person what it takes.
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

    /// The same for a string that is judged further: the string, and the field to note faults on.
    pub(super) fn text_kept(
        self,
        wanted: &str,
        accept: impl FnOnce(&str) -> bool,
    ) -> Option<(String, Field<'a>)> {
        match self.value.as_str().filter(|text| accept(text)) {
            Some(text) => Some((text.to_owned(), self)),
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

    /// One of `choices`, by its word.
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

    fn wrong<T>(&self, wanted: impl std::fmt::Display) -> Option<T> {
        self.note(format_args!("expected {wanted}; found {}", shown(&self.value)));
        None
    }
}

/// Longest wrong value that is repeated to the person, in characters.
const LONGEST_QUOTE: usize = 60;

/// Long texts may be a key, and URLs with a user a password (RFC 3986 section 3.2.1).
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
