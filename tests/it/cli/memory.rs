//! Memory that the system refuses: one line, exit code 71, nothing left.

use std::process::{Command, Stdio};

use super::{Folder, Outcome};

/// KiB of address space below which nothing of the program runs: the loader, glibc and the
/// standard library, which sets its main thread up first, then speak for themselves. What the
/// program's file takes is added.
const FLOOR: u64 = 16 << 10;

/// As much as a call may get that is to have enough.
const ENOUGH: u64 = 1 << 20;

/// Runs a call with this many KiB of address space.
fn limited(folder: &Folder, kib: u64, call: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c 0; ulimit -v \"$1\"; shift; exec \"$@\"", "sh", &kib.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_deltav")).args(call);
    Outcome::of(command.current_dir(folder.path()).stdin(Stdio::null()))
}

/// The least KiB, to one part in 64, with which the call succeeds.
fn least(folder: &Folder, call: &[&str], clean: &dyn Fn()) -> u64 {
    let (mut low, mut high) = (FLOOR, ENOUGH);
    while high - low > low / 64 {
        let middle = low.midpoint(high);
        let bound = if limited(folder, middle, call).code == Some(0) { &mut high } else { &mut low };
        *bound = middle;
        clean();
    }
    high
}

#[test]
fn whatever_the_limit_a_call_ends_well_or_in_one_line() {
    let folder = Folder::trained();
    folder.write("pairs.csv", "user,item\nu1,i1\nu2,i2\n");
    let before = folder.files();
    let clean = || {
        for name in folder.files().into_iter().filter(|name| !before.contains(name)) {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
    };
    let model = "ratings.safetensors";
    let calls = [
        &["train", "ratings.csv", "--device", "cpu", "--epochs", "3", "--out", "new"][..],
        &["predict", model, "pairs.csv", "--out", "new.csv"],
        &["recommend", model, "--all", "--device", "cpu", "--out", "new.csv"],
        &["evaluate", model, "test.csv"],
        &["inspect", model],
        &["fold-in", model, "test.csv", "--out", "new.csv"],
        &["export", model, "--format", "npz", "--out", "new.npz"],
    ];
    for call in calls {
        let enough = least(&folder, call, &clean);
        // The lowest limit at which the program itself speaks; the loader has other codes, or none.
        let floor = (0..).map(|step| FLOOR + step * 1024).find(|&kib| {
            let outcome = limited(&folder, kib, call);
            clean();
            matches!(outcome.code, Some(0 | 71))
        });
        let floor = floor.unwrap();
        if enough < floor + 2048 {
            // What starts needs hardly more to end well.
            assert!(floor < enough + 1024, "{call:?}: {floor} and {enough}");
            continue;
        }
        let mut refused = 0;
        for part in 1..=8 {
            let kib = floor + (enough - floor) * part / 9;
            let outcome = limited(&folder, kib, call);
            if outcome.code == Some(0) {
                clean();
                continue;
            }
            refused += 1;
            let what = format!("{call:?} with {kib} KiB: {outcome:?}");
            assert_eq!(outcome.code, Some(71), "{what}");
            // glibc speaks for itself where it has no room to note a thread's destructors.
            let own = |line: &&str| !line.starts_with("Fatal glibc error: ");
            let lines: Vec<&str> = outcome.stderr.lines().filter(own).collect();
            assert_eq!(lines.iter().filter(|line| line.contains("error: ")).count(), 1, "{what}");
            assert!(lines.last().unwrap().starts_with("error: "), "{what}");
            assert_eq!(folder.files(), before, "{what}");
        }
        assert!(refused > 0, "{call:?}: enough is {enough} KiB, and the program runs with {floor}");
    }
}

#[test]
fn a_model_larger_than_memory_is_refused_by_its_name() {
    let folder = Folder::new();
    let rows: String = (0..6_000).map(|n| format!("{n},{n},{}\n", n % 5)).collect();
    folder.write("ratings.csv", rows);
    let train = ["train", "ratings.csv", "--device", "cpu", "--epochs", "1", "--rank", "512", "--out", "m"];
    folder.succeed(&[&train[..], &["--model", "biased", "--reg", "1"]].concat());
    // 12 MB for the items' factors alone.
    let outcome = limited(&folder, 26 << 10, &["inspect", "m"]);
    assert_eq!(outcome.code, Some(71), "{outcome:?}");
    assert!(
        outcome.stderr.starts_with("error: no memory for tensor ") && outcome.stderr.lines().count() == 1
    );
}

#[test]
fn threads_that_the_system_refuses_are_named() {
    let folder = Folder::planted();
    let before = folder.files();
    let call = ["train", "ratings.csv", "--device", "cpu", "--threads", "1000"];
    let outcome = limited(&folder, 200 << 10, &call);
    assert_eq!(outcome.code, Some(71), "{outcome:?}");
    assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("thread"), "{outcome:?}");
    assert_eq!(folder.files(), before);
}
