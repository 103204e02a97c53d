//! State files, whichever reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    applianced::fuzz::security::state(data);
    applianced::fuzz::license::state(data);
});
