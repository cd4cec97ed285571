//! Every call by which an output is written fails once, in every way that disks do.

use deltav::train::Checkpoint;

use super::{CALLS, Place};
use crate::cli::Outcome;

const EIO: &str = "5";
const ENOSPC: &str = "28";
const EFBIG: &str = "27";
const EDQUOT: &str = "122";
const EROFS: &str = "30";
const EINTR: &str = "4";
const EOPNOTSUPP: &str = "95";
const ENOLCK: &str = "37";
const ENOSYS: &str = "38";
const EINVAL: &str = "22";

/// Lets the first, second, … call fail until there are no more, and returns their names.
fn sweep(name: &str, call: &[&str], errno: &str, check: impl Fn(&str, i32, &str)) -> Vec<String> {
    let place = Place::new();
    let new = place.undisturbed(name, call);
    let mut calls = Vec::new();
    for at in 1.. {
        let (mut command, log) =
            place.faulty(name, call, &[("FAULT_AT", &at.to_string()), ("FAULT_ERRNO", errno)]);
        let (code, line) = place.run(name, &mut command, &new);
        let Ok(failed) = std::fs::read_to_string(log) else {
            assert_eq!(code, 0, "{line}");
            break;
        };
        check(failed.trim_end(), code, &line);
        calls.push(failed.trim_end().to_owned());
    }
    calls
}

/// A failing disk: nothing may pass as a success but what needs no disk.
fn disk_fails(name: &str, call: &[&str]) {
    for errno in [EIO, ENOSPC] {
        let calls = sweep(name, call, errno, |failed, code, line| {
            assert_eq!(code, 74, "{failed} fails with {errno}: {line}");
        });
        // The sweep has met all of the ways to fail; train also reserves room, and trims it.
        let reserves = ["fallocate", "ftruncate"];
        let kinds = ["open", "flock", "fchmod", "write", "fsync", "rename", "fsync folder"];
        let of_train = reserves.iter().filter(|_| call[0] == "train");
        for kind in kinds.iter().chain(of_train) {
            assert!(calls.iter().any(|call| call == kind), "{kind} among {calls:?}");
        }
    }
}

#[test]
fn train_survives_every_call_that_fails() {
    disk_fails(CALLS[0].0, CALLS[0].1);
}

#[test]
fn predict_survives_every_call_that_fails() {
    disk_fails(CALLS[1].0, CALLS[1].1);
}

#[test]
fn recommend_survives_every_call_that_fails() {
    disk_fails(CALLS[2].0, CALLS[2].1);
}

#[test]
fn export_survives_every_call_that_fails() {
    disk_fails(CALLS[3].0, CALLS[3].1);
}

#[test]
fn other_failures_have_their_own_codes() {
    for (name, call) in [CALLS[0], CALLS[3]] {
        for errno in [EFBIG, EDQUOT] {
            sweep(name, call, errno, |failed, code, line| assert_eq!(code, 74, "{failed}: {line}"));
        }
        sweep(name, call, EROFS, |failed, code, line| {
            let creates = ["open", "flock", "fchmod"].contains(&failed);
            assert_eq!(code, if creates { 73 } else { 74 }, "{failed}: {line}");
        });
        // A signal that comes in between is no failure, but for a rename, which no system interrupts.
        sweep(name, call, EINTR, |failed, code, line| {
            assert!(code == 0 || failed == "rename", "{failed}: {code}: {line}");
        });
    }
}

#[test]
fn what_a_file_system_cannot_do_is_no_failure() {
    let place = Place::new();
    for (name, call) in [CALLS[0], CALLS[3]] {
        let new = place.undisturbed(name, call);
        for (kind, errnos) in [
            ("flock", &[EOPNOTSUPP, ENOLCK, ENOSYS][..]),
            ("fallocate", &[EOPNOTSUPP, ENOSYS, EINVAL]),
            ("fsync folder", &[EINVAL, EOPNOTSUPP]),
        ] {
            for errno in errnos {
                let faults = [("FAULT_AT", "0"), ("FAULT_CALL", kind), ("FAULT_ERRNO", errno)];
                let (mut command, log) = place.faulty(name, call, &faults);
                let (code, line) = place.run(name, &mut command, &new);
                assert_eq!(code, 0, "{kind} {errno}: {line}");
                assert!(log.exists() || kind == "fallocate" && call[0] != "train", "{kind} was not called");
            }
        }
    }
}

/// Without `--force` a file is renamed in another way; where that way is unknown, in the plain one.
#[test]
fn a_new_file_appears_whole_or_not_at_all() {
    let place = Place::new();
    let (name, call) = CALLS[3];
    let new = place.undisturbed(name, call);
    let call: Vec<&str> = call.iter().copied().filter(|flag| *flag != "-f").collect();
    let mut kinds = Vec::new();
    for (errno, known) in [(EIO, true), (ENOSPC, true), (EINVAL, false), (ENOSYS, false)] {
        for at in 1.. {
            let faults = [("FAULT_AT", &*at.to_string()), ("FAULT_ERRNO", errno)];
            let (mut command, log) = place.faulty(name, &call, &faults);
            let outcome = Outcome::of(&mut command);
            let (code, line) = (outcome.code.unwrap(), outcome.stderr);
            let Ok(failed) = std::fs::read_to_string(log) else { break };
            let failed = failed.trim_end().to_owned();
            let what = format!("{failed} fails with {errno}: {code}: {line}");
            if code == 0 {
                let harmless = ["renameat2", "flock", "fsync folder"];
                assert!(!known && harmless.contains(&&*failed), "{what}");
            }
            let in_place = code == 0 || line.contains("after a power cut");
            assert_eq!(place.left(), if in_place { vec![name] } else { vec![] }, "{what}");
            if in_place {
                assert!(std::fs::read(place.out().join(name)).unwrap() == new, "{what}");
                std::fs::remove_file(place.out().join(name)).unwrap();
            }
            kinds.push(failed);
        }
        std::fs::remove_file(place.out().join(name)).unwrap();
    }
    assert!(kinds.iter().any(|kind| kind == "renameat2"), "{kinds:?}");
}

/// Where a checkpoint can't be written training ends; what the last one saved is whole, and going on
/// from it, or from nothing, ends with the bytes of a run that nothing disturbed.
#[test]
fn a_run_with_checkpoints_goes_on_after_every_call_that_fails() {
    let place = Place::new();
    let (name, call) = CALLS[0];
    let new = place.undisturbed(name, call);
    let checkpoint = place.out().join("run.ckpt");
    let with = ["--checkpoint", "out/run.ckpt", "--checkpoint-every", "1"];
    let call = [&call[..1], &with, &call[1..]].concat();
    let (mut resumed, mut named) = (0, 0);
    for at in 1.. {
        let (at, errno) = (at.to_string(), if at % 2 == 0 { EIO } else { ENOSPC });
        let (mut command, log) = place.faulty(name, &call, &[("FAULT_AT", &at), ("FAULT_ERRNO", errno)]);
        let Outcome { code, stdout, stderr } = Outcome::of(&mut command);
        let Ok(failed) = std::fs::read_to_string(log) else {
            assert_eq!(code, Some(0), "{stderr}");
            break;
        };
        let what = format!("{} fails: {code:?}: {stderr}", failed.trim_end());
        assert_eq!((code, &*stdout, stderr.lines().count()), (Some(74), "", 1), "{what}");
        let there = checkpoint.exists();
        let in_place = place.left().contains(&name.to_owned());
        let expected =
            [name, "run.ckpt"].into_iter().filter(|&file| if file == name { in_place } else { there });
        assert_eq!(place.left(), expected.collect::<Vec<_>>(), "{what}");
        assert!(!in_place || std::fs::read(place.out().join(name)).unwrap() == new, "{what}");
        if there {
            Checkpoint::load(&checkpoint).unwrap();
            resumed += 1;
        }
        named += usize::from(stderr.contains("run.ckpt") && stderr.contains("--resume"));
        place.folder.succeed(&[&call[..], &["out/new.safetensors", "--resume"]].concat());
        assert!(std::fs::read(place.out().join(name)).unwrap() == new, "{what}: resumed");
        for file in place.left() {
            std::fs::remove_file(place.out().join(file)).unwrap();
        }
    }
    assert!(resumed >= 8 && named >= 4, "{resumed} resumed, {named} named");
}
