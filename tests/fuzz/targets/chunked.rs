//! Chunked bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::gate::chunked(data));
