//! The shim on its own, for this crate's tests; what is installed is the root package's `rcompose-shim`.

fn main() -> std::process::ExitCode {
    rcompose_shim::main()
}
