//! Many processes: what MPI carries, how a job ends, and what `deltav-mpi` trains.
//!
//! Every test starts jobs with `mpirun`, or with what `MPIRUN` names. What runs in their processes is
//! the program, or the test itself once more, as one of them.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "nothing here is published; a test may panic"
)]

mod calls;
mod ends;
mod job;
mod training;
mod world;
