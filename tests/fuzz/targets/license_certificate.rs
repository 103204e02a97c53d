//! A license certificate, as it is pasted.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::license::certificate(data));
