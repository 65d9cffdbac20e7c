//! Any bytes, see `rcompose_fuzz::dotenv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::dotenv(bytes));
