//! Signals: what the first and the second one end, and what they leave.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Folder;

/// Each with its exit code and its name.
const SIGNALS: [(Signal, i32, &str); 4] = [
    (Signal::HUP, 129, "SIGHUP"),
    (Signal::INT, 130, "SIGINT"),
    (Signal::TERM, 143, "SIGTERM"),
    (Signal::USR1, 138, "SIGUSR1"),
];

/// More epochs than any test waits for.
const LONG: &str = "4000000000";

/// A call that runs.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    heard: String,
}

impl Running {
    /// Starts `program ARGUMENTS…`, with stderr to listen to.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, heard: String::new() }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a line on stderr that has this text.
    fn wait_for(&mut self, text: &str) {
        loop {
            let from = self.heard.len();
            let read = self.stderr.read_line(&mut self.heard).unwrap();
            assert!(read > 0, "no {text:?} in {}", self.heard);
            if self.heard[from..].contains(text) {
                return;
            }
        }
    }

    /// How it ends: exit code, stdout and all of stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut self.heard).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), None, "ended by the system: {}", self.heard);
        (status.code(), stdout, self.heard)
    }
}

/// Waits until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether an output is being written.
fn writes(folder: &Folder) -> bool {
    folder.files().iter().any(|name| name.starts_with('.') && name.contains("deltav"))
}

/// `train` with an old output in its way, and a word of its epochs.
fn train<'a>(ratings: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let call = ["train", ratings, "--device", "cpu", "--rank", "2", "--out", "old.model", "--force"];
    [&call[..], more].concat()
}

#[test]
fn reading_ends_at_once_and_leaves_the_old_output() {
    for (signal, code, name) in SIGNALS {
        let folder = Folder::new();
        folder.write("old.model", "old");
        let mut running = Running::start(folder.command(&train("-", &[])).stdin(Stdio::piped()));
        let mut stdin = running.child.stdin.take().unwrap();
        stdin.write_all(b"user,item,rating\na,b,3\n").unwrap();
        until("the output is open", || writes(&folder));
        running.send(signal);
        let (ended, stdout, stderr) = running.end();
        assert_eq!(stderr, format!("error: interrupted by {name}; nothing was written\n"));
        assert_eq!((ended, &*stdout), (Some(code), ""));
        assert_eq!((folder.files(), folder.read("old.model")), (vec!["old.model".into()], b"old".to_vec()));
    }
}

#[test]
fn training_finishes_its_epoch_at_the_first_signal() {
    for (signal, code, name) in SIGNALS {
        let folder = Folder::planted();
        folder.write("old.model", "old");
        let before = folder.files();
        let mut running = Running::start(&mut folder.command(&train("ratings.csv", &["--epochs", LONG])));
        running.wait_for("training on CPU");
        running.send(signal);
        running.wait_for(&format!("note: {name}: finishing the epoch; once more stops at once"));
        let (ended, stdout, stderr) = running.end();
        let line = stderr.lines().last().unwrap();
        assert!(line.starts_with(&format!("error: interrupted by {name} after epoch ")), "{stderr}");
        assert!(line.contains("; nothing was written"), "{stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
        assert_eq!((ended, &*stdout), (Some(code), ""));
        assert_eq!((folder.files(), folder.read("old.model")), (before, b"old".to_vec()));
    }
}

#[test]
fn quiet_and_json_hear_of_the_end_alone_and_a_checkpoint_is_kept() {
    let folder = Folder::planted();
    let call = train("ratings.csv", &["--epochs", LONG, "--json", "-q", "--checkpoint", "state"]);
    let mut running = Running::start(&mut folder.command(&call));
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"epoch\"") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0);
    }
    running.send(Signal::INT);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    for line in rest.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    running.stderr.read_to_string(&mut running.heard).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
    let heard = running.heard;
    assert!(
        heard.starts_with("error: interrupted by SIGINT after epoch ") && heard.lines().count() == 1,
        "{heard}"
    );
    assert!(heard.contains("--resume"), "{heard}");
    assert_eq!(folder.files(), ["ratings.csv", "state", "test.csv"]);
}

#[test]
fn a_second_signal_stops_in_the_middle_of_an_epoch() {
    let folder = Folder::new();
    // An epoch of seconds: a few users with all items, and a rank to match.
    let cells = (0..1500)
        .flat_map(|user| (0..1000).map(move |item| format!("{user},{item},{}\n", (user * item) % 5)));
    folder.write("ratings.csv", cells.collect::<String>());
    let call = "train ratings.csv --device cpu --model biased --reg 1 --threads 1 --rank 512 --epochs";
    let call: Vec<&str> = call.split(' ').chain([LONG]).collect();
    let mut running = Running::start(&mut folder.command(&call));
    running.wait_for("training on CPU");
    running.send(Signal::INT);
    running.wait_for("note: SIGINT");
    running.send(Signal::TERM);
    let (code, _, stderr) = running.end();
    assert_eq!(stderr.lines().last(), Some("error: interrupted by SIGTERM; nothing was written"), "{stderr}");
    assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
    assert_eq!((code, folder.files()), (Some(143), vec!["ratings.csv".to_owned()]));
}

#[test]
fn cross_validation_finishes_its_epoch_and_no_other_fold() {
    let folder = Folder::planted();
    let call = ["cv", "ratings.csv", "--device", "cpu", "--rank", "2", "--epochs", LONG];
    for (signal, code, name) in SIGNALS {
        let running = Running::start(&mut folder.command(&call));
        // It says nothing before its first fold is done: once it is at its epochs, a signal is answered by a note.
        let status = format!("/proc/{}/status", running.child.id());
        if cfg!(target_os = "linux") {
            until("signals are waited for", || {
                std::fs::read_to_string(&status).unwrap().lines().any(|line| {
                    let mask =
                        line.strip_prefix("SigCgt:").and_then(|m| u64::from_str_radix(m.trim(), 16).ok());
                    mask.is_some_and(|mask| mask & 0x4203 == 0x4203)
                })
            });
        }
        running.send(signal);
        let (ended, stdout, stderr) = running.end();
        let line = stderr.lines().last().unwrap();
        assert_eq!(line, format!("error: interrupted by {name}; nothing was written"), "{stderr}");
        assert_eq!((ended, &*stdout), (Some(code), ""), "{stderr}");
    }
}

#[test]
fn answers_end_at_once_and_leave_the_old_output() {
    let folder = Folder::trained();
    folder.write("old.csv", "old");
    let before = folder.files();
    let calls = [
        &["predict", "ratings.safetensors", "-", "--out", "old.csv", "--force"][..],
        &["recommend", "ratings.safetensors", "--users", "-", "--out", "old.csv", "--force"],
        &["fold-in", "ratings.safetensors", "-", "--out", "old.csv", "--force"],
    ];
    for (call, (signal, code, name)) in calls.into_iter().zip(SIGNALS) {
        let mut running = Running::start(folder.command(call).stdin(Stdio::piped()));
        let stdin = running.child.stdin.take().unwrap();
        until("the output is open", || writes(&folder));
        running.send(signal);
        let (ended, stdout, stderr) = running.end();
        drop(stdin);
        assert_eq!(stderr, format!("error: interrupted by {name}; nothing was written\n"), "{call:?}");
        assert_eq!((ended, &*stdout), (Some(code), ""), "{call:?}");
        assert_eq!((folder.files(), folder.read("old.csv")), (before.clone(), b"old".to_vec()));
    }
}

#[test]
fn what_was_printed_is_not_called_nothing() {
    let folder = Folder::trained();
    let call = ["predict", "ratings.safetensors", "-"];
    let mut running = Running::start(folder.command(&call).stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    // Written until some of the answers come out.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(b"user,item\n");
        while stdin.write_all(&b"u1,i1\n".repeat(1000)).is_ok() {}
    });
    stdout.read_exact(&mut [0; 1000]).unwrap();
    running.send(Signal::TERM);
    let mut heard = String::new();
    running.stderr.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "error: interrupted by SIGTERM; what was printed is not all\n");
    assert_eq!(running.child.wait().unwrap().code(), Some(143));
    writer.join().unwrap();
}

#[test]
fn nobody_need_read_the_last_word() {
    let folder = Folder::new();
    let (reader, writer) = std::io::pipe().unwrap();
    // Full to the brim: whoever writes more waits.
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while rustix::io::write(&writer, &[b'x'; 512]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut call = folder.command(&train("-", &[]));
    let mut child = call.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    until("the output is open", || writes(&folder));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(folder.files().is_empty());
    drop(reader);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_ignored_from_the_start_stays_ignored() {
    // As `nohup` has SIGHUP, and a script SIGINT for what it runs in the background.
    for (name, number, ignored) in [("HUP", "1", Signal::HUP), ("INT", "2", Signal::INT)] {
        let folder = Folder::planted();
        let mut call = Command::new("sh");
        call.args(["-c", "trap '' \"$1\"; shift; exec \"$@\"", "sh", number, env!("CARGO_BIN_EXE_deltav")]);
        call.args(train("ratings.csv", &["--epochs", LONG])).current_dir(folder.path());
        let mut running = Running::start(call.stdin(Stdio::null()));
        running.wait_for("training on CPU");
        running.send(ignored);
        running.send(Signal::TERM);
        let (code, _, stderr) = running.end();
        assert!(
            !stderr.contains(&format!("SIG{name}")) && stderr.contains("by SIGTERM after epoch"),
            "{stderr}"
        );
        assert_eq!(
            (code, folder.files()),
            (Some(143), vec!["ratings.csv".to_owned(), "test.csv".to_owned()])
        );
    }
}
