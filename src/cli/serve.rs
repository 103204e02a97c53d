//! `serve`: the daemon.

use std::any::Any;
use std::panic::{self, Location};

use super::{Exit, Options, complain, settings};
use crate::config::LogFormat;
use crate::daemon;
use crate::log::Log;

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings(options) else { return Exit::Settings };
    let log = match config.log_format {
        LogFormat::Text => Log::to_stderr(),
        LogFormat::Json => Log::to_stderr_as_json(),
    };
    // As a log line, which never blocks; the default message waits for a reader of standard error.
    let told = log.clone();
    panic::set_hook(Box::new(move |panic| {
        told.error(at_fault(panic.location(), panic.payload()));
    }));
    match daemon::run(config, &log) {
        Ok(()) => Exit::Fine,
        Err(reason) => {
            complain(reason);
            Exit::Failed
        }
    }
}

/// The place of a panic, and its message if that is a literal: a formatted message may hold a secret, such
/// as the text that was cut at a wrong place.
fn at_fault(place: Option<&Location<'_>>, payload: &dyn Any) -> String {
    let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    match payload.downcast_ref::<&'static str>() {
        Some(words) => format!("panicked at {place}: {words}"),
        None => format!("panicked at {place}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::panic::{Location, catch_unwind};

    use super::at_fault;

    #[test]
    fn a_panic_is_told_without_the_text_it_was_about() {
        let place = Location::caller();
        let secret = "h\u{fc}sh h\u{fc}sh";
        let cut = catch_unwind(|| secret[..2].len()).unwrap_err();
        let words = cut.downcast_ref::<String>().unwrap();
        assert!(words.contains("sh h"), "{words}");
        assert_eq!(at_fault(Some(place), &*cut), format!("panicked at {place}"));
        let none = catch_unwind(|| std::hint::black_box(None::<u8>).unwrap()).unwrap_err();
        assert!(at_fault(Some(place), &*none).ends_with("on a `None` value"));
    }
}
