//! The `deltav` program: parse, run, exit code.

mod allocator;
mod start;

use std::process::ExitCode;

use deltav::cli;

fn main() -> ExitCode {
    start::start();
    ExitCode::from(cli::guard(|| match cli::parse() {
        Ok(call) => cli::run(call),
        Err(code) => code,
    }))
}
