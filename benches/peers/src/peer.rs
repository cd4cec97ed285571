//! The table's end of a worker.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::wire::{Done, Job};
use crate::{Failure, Options};

/// A worker that waits for its turn.
pub struct Peer {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// `ours` or `libmf`: this program again.
    pub fn native(kind: &str, folder: &Path, options: &Options) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--worker", kind]).arg(folder);
        Self::start(kind, command, options.threads)
    }

    /// A script of `python/`.
    pub fn python(script: &str, folder: &Path, options: &Options) -> Result<Self, Failure> {
        let mut command = Command::new(&options.python);
        command.arg(options.home.join("python").join(format!("{script}.py"))).arg(folder);
        Self::start(script, command, options.threads)
    }

    fn start(name: &str, mut command: Command, threads: usize) -> Result<Self, Failure> {
        let pools = ["RAYON", "OMP", "MKL", "NUMBA"].map(|pool| format!("{pool}_NUM_THREADS"));
        for variable in pools.iter().map(String::as_str).chain(["POLARS_MAX_THREADS"]) {
            command.env(variable, threads.to_string());
        }
        // implicit has threads of its own, and warns of twice as many.
        command.env("OPENBLAS_NUM_THREADS", "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} can't be started: {error}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("a worker without stdout")?;
        Ok(Self { name: name.to_owned(), child, stdin, stdout: BufReader::new(stdout) })
    }

    /// Lets the worker do a job, and waits for it.
    pub fn run(&mut self, job: &Job) -> Result<Done, Failure> {
        let stdin = self.stdin.as_mut().ok_or("a worker that has ended")?;
        writeln!(stdin, "{}", serde_json::to_string(job)?)?;
        stdin.flush()?;
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("{} ended before its answer", self.name).into());
        }
        let done: Done =
            serde_json::from_str(&line).map_err(|error| format!("{}: {error}: {line}", self.name))?;
        match done.error {
            Some(error) => Err(format!("{}: {error}", self.name).into()),
            None => Ok(done),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its stdin is the end of its work.
        self.stdin = None;
        let _ = self.child.wait();
    }
}
