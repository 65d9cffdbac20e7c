//! Any bytes, see `rcompose_fuzz::toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::toml(bytes));
