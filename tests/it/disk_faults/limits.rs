//! Disks that are full at some byte, limits on files, and two processes with one output.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{CALLS, OLD, Place};
use crate::cli::Outcome;

/// Sizes at which a disk is full: none, one byte, and around the size of the file.
fn rooms(size: usize) -> Vec<usize> {
    let mut rooms = vec![0, 1, 8, 100, size / 2, size - 1];
    rooms.retain(|&room| room < size);
    rooms.dedup();
    rooms
}

#[test]
fn a_disk_that_is_full_at_any_byte_keeps_the_old_file() {
    let place = Place::new();
    for (name, call) in CALLS {
        let new = place.undisturbed(name, call);
        for room in rooms(new.len()) {
            let room = room.to_string();
            // Where the room can't be reserved beforehand the disk fills in the middle of a write.
            let unreserved = [
                ("FAULT_AT", "0"),
                ("FAULT_CALL", "fallocate"),
                ("FAULT_ERRNO", "95"),
                ("FAULT_QUOTA", &*room),
            ];
            for faults in [&unreserved[3..], &unreserved] {
                let (mut command, _) = place.faulty(name, call, faults);
                let (code, line) = place.run(name, &mut command, &new);
                assert_eq!(code, 74, "{room}: {line}");
                if call[0] == "train" && faults.len() == 1 {
                    assert!(line.contains("no room on the disk: ") && line.contains(" free; "), "{line}");
                }
            }
        }
        let (mut command, _) = place.faulty(name, call, &[("FAULT_QUOTA", "1000000")]);
        assert_eq!(place.run(name, &mut command, &new).0, 0);
    }
}

/// `RLIMIT_FSIZE` sends SIGXFSZ, by which a process that does not expect it dies.
#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_a_full_disk() {
    let place = Place::new();
    for (name, call) in CALLS {
        let new = place.undisturbed(name, call);
        for room in rooms(new.len()) {
            let inner = place.command(name, call);
            let mut command = Command::new("prlimit");
            command.arg(format!("--fsize={room}")).arg(inner.get_program()).args(inner.get_args());
            command.current_dir(place.folder.path()).stdin(Stdio::null());
            let (code, line) = place.run(name, &mut command, &new);
            assert_eq!(code, 74, "{room}: {line}");
            assert!(line.contains("File too large"), "{line}");
        }
    }
}

#[test]
fn a_full_standard_output_is_an_error() {
    let place = Place::new();
    for call in [
        &["predict", "ratings.safetensors", "test.csv", "-q"][..],
        &["recommend", "ratings.safetensors", "--all", "--device", "cpu", "-q"],
        &["inspect", "ratings.safetensors"],
        &["train", "ratings.csv", "--epochs", "2", "--device", "cpu", "--json", "-q", "-o", "out/m"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = place.folder.command(call);
        let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{call:?}: {line}");
        assert!(line.starts_with("error: standard output: ") && line.lines().count() == 1, "{line}");
        assert!(place.left().iter().all(|name| name == "m"), "{:?}", place.left());
    }
}

#[test]
fn of_two_processes_with_one_output_the_second_is_refused_at_once() {
    let place = Place::new();
    let link = place.folder.path().join("link");
    std::fs::write(place.out().join("new.model"), OLD).unwrap();
    std::os::unix::fs::symlink("out/new.model", link).unwrap();
    let train = |out: &str, epochs: &str| {
        let call = ["train", "ratings.csv", "--rank", "2", "--device", "cpu", "-q", "-f", "--epochs", epochs];
        place.folder.command(&[&call[..], &["-o", out]].concat())
    };
    // It runs until it is told to stop.
    let mut first = train("out/new.model", "1000000000").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let lock = place.out().join(".new.model.deltav-tmp");
    while !lock.exists() {
        assert!(Instant::now() < deadline && first.try_wait().unwrap().is_none(), "the first is writing");
        std::thread::sleep(Duration::from_millis(5));
    }
    for out in ["out/new.model", "link", "./out/../out/new.model"] {
        let Outcome { code, stderr, .. } = Outcome::of(&mut train(out, "2"));
        assert_eq!(code, Some(75), "{stderr}");
        assert!(
            stderr.ends_with("another deltav is writing it; wait until it is done, or pass another path\n")
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // Another output in the same folder is nobody's concern, and leaves the first one's files alone.
    assert_eq!(Outcome::of(&mut train("out/other.model", "2")).code, Some(0));
    assert_eq!(place.left(), [".new.model.deltav-lock", ".new.model.deltav-tmp", "new.model", "other.model"]);
    assert_eq!(std::fs::read(place.out().join("new.model")).unwrap(), OLD);
    // Killed, it holds nothing any more: the next output in the folder tidies up.
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(Outcome::of(&mut train("out/other.model", "2")).code, Some(0));
    assert_eq!(place.left(), ["new.model", "other.model"]);
    assert_eq!(std::fs::read(place.out().join("new.model")).unwrap(), OLD);
    assert_eq!(Outcome::of(&mut train("link", "2")).code, Some(0));
    assert!(std::fs::read(place.out().join("new.model")).unwrap() != OLD);
}

#[test]
fn many_processes_with_one_output_leave_one_whole_result() {
    let place = Place::new();
    let (name, call) = CALLS[3];
    let new = place.undisturbed(name, call);
    for _ in 0..5 {
        let spawn = |_| {
            let mut command = place.command(name, call);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..6).map(spawn).collect();
        let mut done = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let line = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => done += 1,
                code => assert_eq!(code, Some(75), "{line}"),
            }
        }
        assert!(done >= 1);
        assert_eq!(place.left(), [name]);
        assert!(std::fs::read(place.out().join(name)).unwrap() == new);
    }
}
