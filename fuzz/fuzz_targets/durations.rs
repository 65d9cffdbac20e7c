//! Any bytes, see `rcompose_fuzz::durations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::durations(bytes));
