//! The house rules that a compiler cannot check.

#[cfg(test)]
mod house;
