//! Request heads, their targets and the framing of what follows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::gate::request_head(data));
