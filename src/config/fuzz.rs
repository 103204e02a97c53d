//! The settings file, for the fuzzer.

use super::Config;

/// What is understood is shown in words that are understood the same.
pub fn settings(data: &[u8]) {
    if let Ok(config) = Config::parse(data) {
        let shown = config.to_json().to_string();
        assert_eq!(Config::parse(shown.as_bytes()), Ok(config), "{shown}");
    }
}
