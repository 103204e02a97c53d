//! Heads of a service's answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::gate::answer_head(data));
