//! State files, whichever reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    applianced::security::fuzz::state(data);
    applianced::license::fuzz::state(data);
});
