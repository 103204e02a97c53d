//! What appliance and authority say to each other.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::license::message(data));
