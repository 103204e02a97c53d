//! The settings file, for the fuzzer.

use super::Config;

/// A valid file, printed as JSON, is read as the same settings again.
pub fn settings(data: &[u8]) {
    if let Ok(config) = Config::parse(data) {
        let shown = config.to_json().to_string();
        assert_eq!(Config::parse(shown.as_bytes()), Ok(config), "{shown}");
    }
}
