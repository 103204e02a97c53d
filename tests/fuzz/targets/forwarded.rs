//! `X-Forwarded-For` and `Forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::gate::forwarded(data));
