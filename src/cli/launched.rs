//! Programs that a launcher of parallel jobs starts: several processes, of which one speaks.

use std::ffi::OsString;
use std::thread;
use std::time::Duration;

use super::Command;
use super::settings::Applied;
use crate::error::{Error, Result};
use crate::world::{World, together};

/// How long another process than the first waits before it leaves, so that the first was heard.
const PATIENCE: Duration = Duration::from_secs(1);

/// What launchers tell each process: how many they are and which this one is. Open MPI; those that
/// speak PMI, as MPICH's and Slurm's do; and PMIx, which leaves the number to Slurm.
const LAUNCHERS: [(&str, &[&str]); 3] = [
    ("OMPI_COMM_WORLD_SIZE", &["OMPI_COMM_WORLD_RANK"]),
    ("PMI_SIZE", &["PMI_RANK"]),
    ("SLURM_NTASKS", &["PMIX_RANK", "PMI_RANK", "PMI_FD"]),
];

/// The number of processes, and which of them this one is, where it is one of several of an MPI job.
fn job(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<(u64, u64)> {
    let number = |name: &str| variable(name)?.to_str()?.trim().parse::<u64>().ok();
    LAUNCHERS.iter().find_map(|(size, ranks)| {
        let size = number(size).filter(|&size| size > 1)?;
        let there = ranks.iter().any(|rank| variable(rank).is_some());
        let rank = ranks.iter().chain(&["SLURM_PROCID"]).find_map(|rank| number(rank));
        there.then_some((size, rank.unwrap_or(0)))
    })
}

/// Refuses to run the plain program several times over, each of which would do and write the same.
///
/// # Errors
/// [`Error::Usage`], which names the program to run.
pub(super) fn refuse_many() -> Result<()> {
    match job(&|name| std::env::var_os(name)) {
        None => Ok(()),
        Some((size, rank)) => {
            if rank > 0 {
                // All say the same; the first one is enough.
                thread::sleep(PATIENCE);
                super::ending::exit(2);
            }
            Err(plain(size))
        }
    }
}

fn plain(processes: u64) -> Error {
    Error::usage(
        format!("this deltav is one of {processes} processes, and knows nothing of the others"),
        "start deltav-mpi instead (cargo install with --features mpi), or one process",
    )
}

/// Refuses what other programs do better.
///
/// # Errors
/// [`Error::Usage`] for any command but `train` and `plan`.
pub(super) fn only_training(command: &Command, applied: &Applied) -> Result<()> {
    match command {
        Command::Train(_) | Command::Plan(_) => Ok(()),
        _ => Err(Error::usage(
            format!("deltav-mpi has train and plan, and no {}", applied.command),
            format!("run deltav {}", applied.command),
        )),
    }
}

/// Sees that all processes do the same: the same version, and the same call with all its settings,
/// wherever those were said.
///
/// # Errors
/// [`Error::Usage`] on all of them if one does something else.
pub(super) fn see_that_all_do_the_same(world: &dyn World, applied: &Applied) -> Result<()> {
    let words = applied.words.iter().map(|word| word.as_encoded_bytes());
    // The first word is the program, which may stand elsewhere on each computer.
    let call = words.skip(1).collect::<Vec<_>>().join(&0);
    same(world, env!("CARGO_PKG_VERSION"), &call)
}

fn same(world: &dyn World, version: &str, call: &[u8]) -> Result<()> {
    let versions = together::gather(world, version.as_bytes())?;
    let other = |all: &[Vec<u8>]| all.iter().position(|one| Some(one) != all.first());
    if let Some(process) = other(&versions) {
        let name = |at: usize| versions.get(at).map(|v| String::from_utf8_lossy(v)).unwrap_or_default();
        return Err(Error::usage(
            format!("process 0 is deltav {}, process {process} deltav {}", name(0), name(process)),
            "install one version on every host",
        ));
    }
    match other(&together::gather(world, call)?) {
        None => Ok(()),
        Some(process) => Err(Error::usage(
            format!("process {process} has another command line, or other settings, than process 0"),
            "pass all the same flags, variables DELTAV_… and file of --config",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::threads;

    fn told(pairs: &[(&str, &str)]) -> Option<(u64, u64)> {
        job(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn launchers_are_known_by_what_they_tell() {
        let open = |size, rank| told(&[("OMPI_COMM_WORLD_SIZE", size), ("OMPI_COMM_WORLD_RANK", rank)]);
        assert_eq!(open("4", "2"), Some((4, 2)));
        assert_eq!(open("1", "0"), None);
        assert_eq!(open("x", "0"), None);
        assert_eq!(told(&[("PMI_SIZE", "2"), ("PMI_RANK", "0")]), Some((2, 0)));
        let slurm = [("SLURM_NTASKS", "8"), ("SLURM_PROCID", "3")];
        // A batch script has the number, too, but nobody to speak to.
        assert_eq!(told(&slurm), None);
        assert_eq!(told(&[&slurm[..], &[("PMIX_RANK", "3")]].concat()), Some((8, 3)));
        assert_eq!(told(&[&slurm[..], &[("PMI_FD", "3:9")]].concat()), Some((8, 3)));
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn the_refusal_names_the_other_program() {
        let error = plain(4);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("4 processes") && error.to_string().contains("deltav-mpi"));
    }

    #[test]
    fn another_version_or_call_is_refused_by_all() {
        for processes in 1..4 {
            let ends = threads::run(processes, |world| same(world, "1.0.0", b"train"));
            assert!(ends.into_iter().all(|end| end.is_ok()));
        }
        let odd = |world: &dyn World, odd, usual| if world.process() == 2 { odd } else { usual };
        let ends = threads::run(3, |world| same(world, odd(world, "1.0.1", "1.0.0"), b"train"));
        for end in ends {
            let error = end.unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().starts_with("process 0 is deltav 1.0.0, process 2 deltav 1.0.1; "));
        }
        let ends = threads::run(3, |world| same(world, "1.0.0", odd(world, "plan", "train").as_bytes()));
        for end in ends {
            assert!(end.unwrap_err().to_string().starts_with("process 2 has another command line"));
        }
    }
}
