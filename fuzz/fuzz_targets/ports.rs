//! Any bytes, see `rcompose_fuzz::ports`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::ports(bytes));
