//! PROXY protocol headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| applianced::fuzz::gate::proxy_header(data));
