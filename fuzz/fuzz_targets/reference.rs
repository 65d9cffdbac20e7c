//! Any bytes, see `rcompose_fuzz::reference`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::reference(bytes));
