//! Any bytes, see `rcompose_fuzz::tar_layer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rcompose_fuzz::tar_layer(bytes));
