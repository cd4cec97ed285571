//! Real file systems, small or read-only, where the system lets us mount them; else the shim's.

use std::process::{Command, Stdio};

use super::{CALLS, OLD, Place};
use crate::cli::Outcome;

/// Runs a shell script in a namespace of its own, as its root, with `$out` and the program as `$0`;
/// `None` where the system allows no such thing.
fn with_mounts(place: &Place, script: &str) -> Option<Outcome> {
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).arg(env!("CARGO_BIN_EXE_deltav"));
        command.current_dir(place.folder.path()).env("out", place.out()).stdin(Stdio::null());
        command.output().ok().map(|_| Outcome::of(&mut command))
    };
    let probe = run("mount -t tmpfs -o size=1m none \"$out\"")?;
    if probe.code == Some(0) { run(script) } else { None }
}

#[test]
fn a_small_disk_is_full_before_training_or_after_it_and_the_old_file_stays() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("old"), OLD).unwrap();
    // A model of 1.2 MB at most, and answers of more.
    let mut pairs = std::fs::read_to_string(place.folder.path().join("test.csv")).unwrap();
    pairs.extend((0..120_000).map(|p| format!("u{},i{},3\n", p % 100, p % 70)));
    place.folder.write("pairs.csv", pairs);
    let train =
        ["train", "ratings.csv", "--rank", "512", "--epochs", "2", "--device", "cpu", "-q", "-f", "-o"];
    let predict = ["predict", "ratings.safetensors", "pairs.csv", "-q", "-f", "-o"];
    for call in [&train[..], &predict] {
        let script = format!(
            "mount -t tmpfs -o size=1m none \"$out\" && cp old \"$out/new\" && \"$0\" {} out/new; code=$?; \
             cmp old \"$out/new\" && [ \"$(ls -A \"$out\")\" = new ] && exit $code",
            call.join(" ")
        );
        let line = match with_mounts(&place, &script) {
            Some(Outcome { code, stdout, stderr }) => {
                assert_eq!((code, &*stdout), (Some(74), ""), "{stderr}");
                stderr
            }
            None => {
                let (mut command, _) = place.faulty("new", call, &[("FAULT_QUOTA", "1048576")]);
                let (code, line) = place.run("new", &mut command, b"");
                assert_eq!(code, 74, "{line}");
                line
            }
        };
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with("error: out/new: "), "{line}");
        assert_eq!(line.contains("bytes needed"), call[0] == "train", "{line}");
    }
}

#[test]
fn a_read_only_folder_is_refused_before_the_work() {
    let place = Place::new();
    for (name, call) in CALLS {
        std::fs::write(place.out().join(name), OLD).unwrap();
        let script = format!("mount --bind -o ro \"$out\" \"$out\" && \"$0\" {} out/{name}", call.join(" "));
        let remount = script.replacen(" && ", " && mount -o remount,bind,ro \"$out\" && ", 1);
        let line = match with_mounts(&place, &remount) {
            Some(Outcome { code, stdout, stderr }) => {
                assert_eq!((code, &*stdout), (Some(73), ""), "{stderr}");
                stderr
            }
            None => {
                let faults = [("FAULT_AT", "0"), ("FAULT_CALL", "open"), ("FAULT_ERRNO", "30")];
                let (mut command, _) = place.faulty(name, call, &faults);
                let (code, line) = place.run(name, &mut command, b"");
                assert_eq!(code, 73, "{line}");
                line
            }
        };
        let expected = format!(
            "error: out/{name}: can't write into folder out (read-only filesystem or storage medium); pass another path\n"
        );
        assert_eq!(line, expected);
        assert_eq!(std::fs::read(place.out().join(name)).unwrap(), OLD);
        std::fs::remove_file(place.out().join(name)).unwrap();
        assert_eq!(place.left(), [""; 0]);
    }
}
