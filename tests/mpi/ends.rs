//! How jobs end that don't end well: all processes at once, with one message.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use deltav::world::mpi::{Mpi, abort};
use deltav::world::{Watchdog, World};
use rustix::process::{Pid, Signal, kill_process};

use crate::job::{self, Ended};

/// What a job may take to end once there is a reason.
const SOON: Duration = Duration::from_secs(15);

/// A job that runs, and what its processes print.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(job: &mut Command) -> Self {
        let mut child = job.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The number behind a word, of some process.
    fn number(&mut self, word: &str) -> i32 {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some(number) = line.split(word).nth(1) {
                return number.trim().parse().unwrap();
            }
            line.clear();
        }
        panic!("no {word}")
    }

    fn end(mut self) -> Ended {
        let mut ended = Ended { code: None, stdout: String::new(), stderr: String::new() };
        self.child.stderr.take().unwrap().read_to_string(&mut ended.stderr).unwrap();
        self.stdout.read_to_string(&mut ended.stdout).unwrap();
        ended.code = self.child.wait().unwrap().code();
        ended
    }
}

/// Waits for a message that never comes.
fn wait(world: &Mpi) {
    world.broadcast(1, &mut [0]).unwrap();
    println!("it came");
}

#[test]
fn a_panic_of_one_ends_all() {
    const NAME: &str = "ends::a_panic_of_one_ends_all";
    if job::is_role(NAME) {
        let world = Mpi::start().unwrap();
        assert_ne!(world.process(), 1, "a bug");
        return wait(&world);
    }
    let ended = job::run(&mut job::as_test(3, NAME));
    assert!(ended.code != Some(0) && !ended.stdout.contains("it came"), "{ended:?}");
    assert!(ended.stderr.contains("a bug"), "{ended:?}");
}

#[test]
fn a_process_that_is_killed_ends_all_in_seconds() {
    const NAME: &str = "ends::a_process_that_is_killed_ends_all_in_seconds";
    if job::is_role(NAME) {
        let world = Mpi::start().unwrap();
        if world.process() == 1 {
            println!("\npid {}", std::process::id());
            thread::sleep(Duration::from_secs(600));
        }
        return wait(&world);
    }
    let _alone = job::alone();
    let mut running = Running::start(&mut job::as_test(3, NAME));
    let pid = running.number("pid ");
    let began = Instant::now();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let ended = running.end();
    assert!(ended.code != Some(0) && !ended.stdout.contains("it came"), "{ended:?}");
    assert!(began.elapsed() < SOON, "{ended:?}");
}

#[test]
fn a_process_that_hangs_ends_all() {
    const NAME: &str = "ends::a_process_that_hangs_ends_all";
    if job::is_role(NAME) {
        let world = Mpi::start().unwrap();
        if world.process() == 1 {
            thread::sleep(Duration::from_secs(600));
        }
        let _dog = Watchdog::start(world.beats(), Duration::from_millis(500), || abort(76)).unwrap();
        return wait(&world);
    }
    let ended = job::run(&mut job::as_test(3, NAME));
    assert!(ended.code == Some(76) && !ended.stdout.contains("it came"), "{ended:?}");
}
