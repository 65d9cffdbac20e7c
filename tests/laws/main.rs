//! What must hold for any bytes, for the inputs the fuzzer kept and for mutations of them; the laws are the fuzzer's.

#[cfg(test)]
#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "there it is a library")]
mod laws;

#[cfg(test)]
mod replay;
