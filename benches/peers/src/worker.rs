//! The worker processes of deltav and of LIBMF.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use crate::data::Set;
use crate::wire::{Done, Job};
use crate::{Failure, libmf, ours, sys};

/// What a worker does with a job.
type Work<'a> = Box<dyn FnMut(&Job) -> Result<Done, Failure> + 'a>;

/// Answers jobs on stdin until it ends.
pub fn serve(kind: &str, folder: &Path) -> Result<(), Failure> {
    let set = Set::read(folder)?;
    let mut work: Work<'_> = match kind {
        "ours" => {
            let mut state = ours::Ours::new(&set, folder)?;
            Box::new(move |job| state.run(job))
        }
        "libmf" => {
            let mut state = libmf::Libmf::new(&set);
            Box::new(move |job| state.run(job))
        }
        _ => return Err(format!("there is no worker {kind}").into()),
    };
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let done =
            work(&job).unwrap_or_else(|error| Done { error: Some(error.to_string()), ..Done::default() });
        writeln!(out, "{}", serde_json::to_string(&Done { peak: sys::peak_bytes(), ..done })?)?;
        out.flush()?;
    }
    Ok(())
}

/// Runs and times: the result, seconds on the clock, CPU seconds.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (cpu, start) = (sys::cpu_seconds(), Instant::now());
    let result = work();
    (result, start.elapsed().as_secs_f64(), sys::cpu_seconds() - cpu)
}
