//! Records as JSON: one object a line (RFC 8259), which no length of a value and no byte in it can break.

use std::fmt::{self, Display, Write as _};

/// A record that is being written: the fields of one object, in this order.
pub(crate) struct Object(String);

impl Object {
    /// Begins with when and how grave it is.
    pub(super) fn new(time: &str, level: &str) -> Object {
        let mut object = Object(String::with_capacity(256));
        object.string("time", time, 32);
        object.string("level", level, 16);
        object
    }

    /// A field that is a text, of which `longest` bytes are kept as they are written, quotes apart.
    pub(crate) fn string(&mut self, name: &str, value: impl Display, longest: usize) {
        self.name(name);
        self.0.push('"');
        let end = self.0.len() + longest;
        let _ = write!(Escaped { text: &mut self.0, end }, "{value}"); // the rest is cut off
        self.0.push('"');
    }

    pub(crate) fn number(&mut self, name: &str, value: impl Into<u128>) {
        self.name(name);
        let _ = write!(self.0, "{}", value.into());
    }

    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
    }

    /// The whole line.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }

    /// `name` is a literal without anything to escape.
    fn name(&mut self, name: &str) {
        let separator = if self.0.is_empty() { '{' } else { ',' };
        let _ = write!(self.0, "{separator}\"{name}\":");
    }
}

/// Escapes what a JSON string may not hold (RFC 8259 section 7), and other control characters, which terminals obey.
struct Escaped<'a> {
    text: &'a mut String,
    /// Length that the text may reach.
    end: usize,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let before = self.text.len();
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                c if c.is_control() => write!(self.text, "\\u{:04x}", u32::from(c))?,
                c => self.text.push(c),
            }
            if self.text.len() > self.end {
                self.text.truncate(before);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::Object;

    fn read(object: Object) -> Value {
        let line = object.finish();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn every_character_comes_back() {
        let mut text: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        text.push_str("\u{10ffff}\u{fffd}\"\\\n,}{");
        let mut object = Object::new("now", "info");
        object.string("message", &text, 1 << 20);
        object.number("in", u64::MAX);
        object.flag("tls", false);
        let wanted = json!({
            "time": "now", "level": "info", "message": text, "in": u64::MAX, "tls": false
        });
        assert_eq!(read(object), wanted);
    }

    #[test]
    fn a_value_is_cut_between_characters() {
        for longest in 0..30 {
            let mut object = Object::new("now", "info");
            object.string("message", "\u{1}\"\\\u{fc}\u{1f600}ab\u{9b}c", longest);
            object.flag("tls", true);
            let found = read(object);
            assert!(
                "\u{1}\"\\\u{fc}\u{1f600}ab\u{9b}c".starts_with(found["message"].as_str().unwrap())
            );
            assert_eq!(found["tls"], true);
        }
    }
}
