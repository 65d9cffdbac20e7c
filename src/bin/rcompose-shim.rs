//! The `rcompose-shim` program: keeps one container (or one plain process) alive.

fn main() -> std::process::ExitCode {
    rcompose_shim::main()
}
