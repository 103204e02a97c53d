//! A key and a certificate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::security::fuzz::upload(data));
