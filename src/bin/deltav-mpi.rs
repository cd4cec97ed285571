//! The `deltav-mpi` program: `train` and `plan` in as many processes as `mpirun` starts.

#[path = "../allocator.rs"]
mod allocator;
#[path = "../start.rs"]
mod start;

use std::process::ExitCode;

use deltav::cli;
use deltav::world::mpi::{Mpi, abort};

fn main() -> ExitCode {
    start::start();
    ExitCode::from(cli::guard(|| match Mpi::start() {
        Ok(world) => cli::run_among(&world, abort),
        // Others may have a library that would do.
        Err(error) => abort(cli::refuse(&error)),
    }))
}
