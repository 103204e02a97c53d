//! `--name value` pairs, each with a default. A program calls us, so a wrong value ends the run.

use std::collections::HashMap;
use std::str::FromStr;

pub(crate) struct Arguments {
    pairs: HashMap<String, String>,
    /// What stands after `--`.
    pub(crate) command: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse(words: &[String]) -> Arguments {
        let split = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let pairs = words[..split]
            .chunks(2)
            .map(|pair| match pair {
                [name, value] if name.starts_with("--") => (name[2..].to_owned(), value.clone()),
                other => panic!("--name value wanted, not {other:?}"),
            })
            .collect();
        Arguments { pairs, command: words.get(split + 1..).unwrap_or_default().to_vec() }
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    pub(crate) fn optional<T: FromStr>(&self, name: &str) -> Option<T> {
        let value = self.pairs.get(name)?;
        Some(value.parse().unwrap_or_else(|_| panic!("--{name} can't be {value}")))
    }

    pub(crate) fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.pairs.get(name).map_or(default, String::as_str)
    }

    /// Process numbers, separated by commas.
    pub(crate) fn processes(&self, name: &str) -> Vec<i32> {
        self.text(name, "").split(',').filter_map(|number| number.parse().ok()).collect()
    }
}
