//! The password file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::security::htpasswd(data));
