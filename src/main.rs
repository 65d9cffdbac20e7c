//! The `rcompose` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rcompose::commands::main(std::env::args_os())
}
