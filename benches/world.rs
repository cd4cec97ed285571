//! The sum of all processes' item blocks: along the chain that the trainer has, in f32 and the same for
//! any number of processes, beside MPI's own all-reduce in f64, which is neither.
//!
//! `cargo bench --features mpi --bench world --no-run`, then `mpirun -n 4 PROGRAM [NUMBERS [BLOCKS]]`: by
//! default 600,000 rows of 128, and a block a process. Process 0 prints the best of three.

#![allow(missing_docs, clippy::print_stdout, reason = "a bench is for people")]

use std::time::Instant;

use deltav::Result;
use deltav::world::mpi::Mpi;
use deltav::world::{PIECE, World, together};
use mpi::collective::{CommunicatorCollectives, SystemOperation};
use mpi::topology::SimpleCommunicator;

/// Seconds of the slowest process, in the best of three runs.
fn best(world: &Mpi, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        SimpleCommunicator::world().barrier();
        let began = Instant::now();
        run()?;
        best = best.min(together::max(world, began.elapsed().as_secs_f64())?);
    }
    Ok(best)
}

fn main() -> Result<()> {
    let world = Mpi::start()?;
    // Cargo adds a flag of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let n = numbers.next().unwrap_or(600_000 * 128);
    let blocks = numbers.next().unwrap_or(1);
    let mine = world.process() as f32 + 0.25;
    let parts = vec![mine; blocks * n];
    let mut sum = vec![0.0_f32; n];
    let before = world.sent();
    let chain = best(&world, || together::running_sum_into(&world, &parts, &mut sum))?;
    let bytes = (world.sent() - before) / 3;
    let parts: Vec<f64> = vec![f64::from(mine); n];
    let mut sum = vec![0.0_f64; n];
    let reduce = best(&world, || {
        for (parts, sum) in parts.chunks(PIECE / 8).zip(sum.chunks_mut(PIECE / 8)) {
            SimpleCommunicator::world().all_reduce_into(parts, sum, SystemOperation::sum());
        }
        Ok(())
    })?;
    if world.process() == 0 {
        let (processes, mb) = (world.processes(), bytes as f64 / 1e6);
        println!(
            "{processes} processes, {n} numbers, {blocks} blocks each: chain {chain:.3} s ({mb:.0} MB sent by the \
             first), MPI_Allreduce of f64 {reduce:.3} s"
        );
    }
    Ok(())
}
