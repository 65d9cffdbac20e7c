//! Any bytes, see `rcompose_fuzz::volumes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::volumes(bytes));
