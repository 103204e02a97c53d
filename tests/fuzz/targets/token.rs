//! Signed tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::license::token(data));
