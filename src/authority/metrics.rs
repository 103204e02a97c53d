//! What `serve` counts since its start, for `/metrics`.
//!
//! Every label has few values: no code, no address and no name is ever one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::util::openmetrics::{Counter, Histogram};

/// Everything that is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Questions by kind and outcome.
    questions: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// From the last byte of a question to its answer.
    pub(crate) durations: Histogram,
    /// Codes that no license has.
    pub(crate) wrong_codes: Counter,
    /// Steps that read or changed records together.
    pub(crate) steps: Counter,
    /// Connections that came.
    pub(crate) accepted: Counter,
    /// Connections refused, because their address had too many.
    pub(crate) refused_of_address: Counter,
    /// Connections refused, because there were too many in all.
    pub(crate) refused_of_all: Counter,
    /// Connections closed for a newcomer, while nobody worked for them.
    pub(crate) evicted: Counter,
}

impl Metrics {
    /// Counts a question; both words are names of the protocol.
    pub(crate) fn question(&self, kind: &'static str, outcome: &'static str) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        *questions.entry((kind, outcome)).or_default() += 1;
    }

    /// How many questions of each kind had each outcome.
    pub(crate) fn questions(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
