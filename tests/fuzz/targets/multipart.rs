//! An upload: its content type and its body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::management::upload(data));
