//! Any bytes, see `rcompose_fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::manifest(bytes));
