//! Signed tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::license::fuzz::token(data));
