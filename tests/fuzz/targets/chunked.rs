//! Chunked bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::gate::fuzz::chunked(data));
