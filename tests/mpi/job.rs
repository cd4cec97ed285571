//! Jobs: how they are started and what became of them.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use deltav::data::planted::Planted;

/// In a process of a job, the test that it runs.
const ROLE: &str = "DELTAV_MPI_ROLE";

/// `mpirun`, for so many processes; more than there are cores, as root, and polite about it.
pub fn mpirun(processes: usize) -> Command {
    let mut mpirun = Command::new(env::var_os("MPIRUN").unwrap_or_else(|| "mpirun".into()));
    mpirun
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .envs([("OMPI_MCA_rmaps_base_oversubscribe", "1"), ("OMPI_MCA_mpi_yield_when_idle", "1")])
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
        .env("NODEVICE_SELECT", "1")
        .args(["-n", &processes.to_string()]);
    mpirun
}

/// The program that trains in many processes.
pub const DELTAV_MPI: &str = env!("CARGO_BIN_EXE_deltav-mpi");

/// The one that trains alone.
pub const DELTAV: &str = env!("CARGO_BIN_EXE_deltav");

/// A job of `deltav-mpi`.
pub fn deltav_mpi(
    processes: usize,
    folder: &Path,
    words: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut job = mpirun(processes);
    job.arg(DELTAV_MPI).args(words).current_dir(folder);
    job
}

/// How a job ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// What the program itself says on stderr, without the launcher's remarks.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
    }

    #[track_caller]
    pub fn well(self) -> Self {
        assert_eq!((self.code, self.errors().len()), (Some(0), 0), "{self:?}");
        self
    }

    /// One message, whatever the number of processes, and its exit code.
    #[track_caller]
    pub fn refused(self, code: i32, message: &str) -> Self {
        assert_eq!(self.errors().len(), 1, "{self:?}");
        assert!(self.errors()[0].contains(message), "{self:?}");
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Planted ratings, `ratings.csv` and a few more to validate with, `valid.csv`.
pub fn ratings(folder: &Path) {
    let all = Planted::new(700, 60, 6_000).rank(3).seed(1).generate().unwrap().ratings;
    let mut texts = ["user,item,rating\n".to_owned(), "user,item,rating\n".to_owned()];
    for p in 0..all.len() {
        let (user, item) = (all.users.text(all.user[p]), all.items.text(all.item[p]));
        writeln!(texts[usize::from(p % 20 == 7)], "{user},{item},{}", all.value[p]).unwrap();
    }
    for (name, text) in ["ratings.csv", "valid.csv"].into_iter().zip(texts) {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

impl Ended {
    /// What is in the folder now, in the order of the names.
    #[track_caller]
    pub fn files(self, folder: &Path, names: &[&str]) -> Self {
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, names, "{self:?}");
        self
    }
}

/// Jobs run one after the other: a machine has few cores, and processes that wait take turns.
static ONE: Mutex<()> = Mutex::new(());

/// Runs a job to its end.
pub fn run(job: &mut Command) -> Ended {
    let _one = alone();
    let output = job.output().unwrap_or_else(|error| panic!("{job:?}: {error}; install Open MPI or MPICH"));
    Ended::new(&output)
}

/// Keeps other jobs from running meanwhile.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this is a process of the job that the test `name` started.
pub fn is_role(name: &str) -> bool {
    env::var(ROLE).is_ok_and(|role| role == name)
}

/// A job of which every process runs the test of this name, of this program.
pub fn as_test(processes: usize, name: &str) -> Command {
    let mut job = mpirun(processes);
    job.arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(ROLE, name);
    job
}
