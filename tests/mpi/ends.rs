//! How jobs end that don't end well: all processes at once, with one message.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
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
    stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(job: &mut Command) -> Self {
        let mut child = job.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
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

    /// Reads stderr until a line has this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut heard = String::new();
        while self.stderr.read_line(&mut heard).unwrap() > 0 {
            if heard.contains(text) {
                return heard;
            }
        }
        panic!("no {text:?} in {heard}")
    }

    fn end(mut self) -> Ended {
        let mut ended = Ended { code: None, stdout: String::new(), stderr: String::new() };
        self.stderr.read_to_string(&mut ended.stderr).unwrap();
        self.stdout.read_to_string(&mut ended.stdout).unwrap();
        ended.code = self.child.wait().unwrap().code();
        ended
    }
}

/// How many processes the program trains in.
const PROCESSES: [usize; 2] = [1, 3];

/// The exit code of a launcher that handed SIGUSR1 on. That of MPICH may exit with 0 then, whatever its
/// processes do.
fn stopped(code: Option<i32>) -> Option<i32> {
    let version = job::mpirun(1).arg("--version").output().unwrap();
    let hydra = String::from_utf8_lossy(&version.stdout).contains("HYDRA");
    if hydra && code == Some(0) { Some(138) } else { code }
}

/// More epochs than any test waits for.
const LONG: &str = "4000000000";

/// `train` with a checkpoint, so many epochs, on the CPU.
fn train<'a>(epochs: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words =
        ["train", "ratings.csv", "--device", "cpu", "--rank", "4", "--checkpoint", "state", "--epochs"];
    [&words[..], &[epochs], more].concat()
}

#[test]
fn a_signal_to_the_launcher_saves_and_stops() {
    for processes in PROCESSES {
        let _alone = job::alone();
        let folder = tempfile::tempdir().unwrap();
        job::ratings(folder.path());
        let mut running = Running::start(&mut job::deltav_mpi(processes, folder.path(), train(LONG, &[])));
        let heard = running.wait_for("training on CPU");
        kill_process(Pid::from_child(&running.child), Signal::USR1).unwrap();
        let mut ended = running.end();
        ended.stderr = heard + &ended.stderr;
        ended.code = stopped(ended.code);
        ended
            .refused(138, "error: interrupted by SIGUSR1 after epoch ")
            .files(folder.path(), &["ratings.csv", "state", "valid.csv"]);
    }
}

/// The processes that a job's launcher has started, children and their children.
fn descendants(of: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    children.iter().flat_map(|&pid| [vec![pid as i32], descendants(pid)].concat()).collect()
}

/// Those of them that run `deltav-mpi`.
fn trainers(job: &Running) -> Vec<Pid> {
    let runs =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default() == "deltav-mpi\n";
    let all = descendants(job.child.id()).into_iter().filter(runs);
    all.map(|pid| Pid::from_raw(pid).unwrap()).collect()
}

#[test]
fn a_trainer_that_is_killed_ends_all_and_the_checkpoint_goes_on_in_other_numbers() {
    let _alone = job::alone();
    let folder = tempfile::tempdir().unwrap();
    job::ratings(folder.path());
    let whole = job::deltav_mpi(2, folder.path(), train("9", &["--out", "whole"])).output().unwrap();
    Ended::new(&whole).well();
    fs::remove_file(folder.path().join("state")).unwrap();
    let words = train("9", &["--out", "killed", "--checkpoint-every", "4"]);
    let mut running = Running::start(&mut job::deltav_mpi(3, folder.path(), &words));
    running.wait_for("training on CPU");
    // Stopped as soon as there is a checkpoint, or at the end, where that is faster.
    while !folder.path().join("state").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    let (trainers, began) = (trainers(&running), Instant::now());
    if let Some(one) = trainers.get(1) {
        let _ = kill_process(*one, Signal::KILL);
    }
    let ended = running.end();
    assert!(began.elapsed() < SOON && ended.errors().is_empty(), "{ended:?}");
    let resumed = [&words[..], &["--resume", "--force"]].concat();
    for processes in [2, 1] {
        Ended::new(&job::deltav_mpi(processes, folder.path(), &resumed).output().unwrap()).well();
        let read = |name| fs::read(folder.path().join(name)).unwrap();
        assert!(read("whole") == read("killed"), "{processes} processes");
    }
}

#[test]
fn a_trainer_that_stands_still_ends_all_with_one_message() {
    let _alone = job::alone();
    let folder = tempfile::tempdir().unwrap();
    job::ratings(folder.path());
    let words = train(LONG, &["--timeout", "1"]);
    let mut running = Running::start(&mut job::deltav_mpi(3, folder.path(), words));
    let heard = running.wait_for("training on CPU");
    let trainers = trainers(&running);
    assert_eq!(trainers.len(), 3);
    kill_process(trainers[2], Signal::STOP).unwrap();
    let began = Instant::now();
    let mut ended = running.end();
    ended.stderr = heard + &ended.stderr;
    ended.refused(76, "no progress for 1 s");
    assert!(began.elapsed() < SOON);
}

#[test]
fn two_jobs_do_not_write_one_output() {
    for processes in PROCESSES {
        let _alone = job::alone();
        let folder = tempfile::tempdir().unwrap();
        job::ratings(folder.path());
        let mut running = Running::start(&mut job::deltav_mpi(processes, folder.path(), train(LONG, &[])));
        running.wait_for("training on CPU");
        let second = job::deltav_mpi(processes, folder.path(), train("3", &[])).output().unwrap();
        Ended::new(&second).refused(75, "another deltav is writing it");
        kill_process(Pid::from_child(&running.child), Signal::USR1).unwrap();
        assert_eq!(stopped(running.end().code), Some(138));
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
