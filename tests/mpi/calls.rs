//! Calls that need no training: what is refused, what is said, and how often.

use std::fs;
use std::process::Command;

use crate::job::{DELTAV, DELTAV_MPI, deltav_mpi, mpirun, run};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ratings.csv"), "user,item,rating\na,x,1\na,y,5\nb,x,2\nb,z,4\n").unwrap();
    folder
}

#[test]
fn the_plain_program_has_nothing_of_mpi() {
    let libraries = |program: &str| {
        let listed = Command::new("ldd").arg(program).output().unwrap();
        assert!(listed.status.success());
        String::from_utf8(listed.stdout).unwrap()
    };
    assert!(!libraries(DELTAV).contains("libmpi"), "{}", libraries(DELTAV));
    assert!(libraries(DELTAV_MPI).contains("libmpi"));
}

#[test]
fn the_plain_program_is_refused_in_many_processes() {
    let folder = folder();
    let call = |processes: usize, words: &[&str]| {
        run(mpirun(processes).arg(DELTAV).args(words).current_dir(folder.path()))
    };
    call(3, &["train", "ratings.csv", "--device", "cpu"]).refused(2, "this deltav is one of 3 processes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    call(2, &["devices"]).refused(2, "start deltav-mpi instead");
    call(1, &["train", "ratings.csv", "--device", "cpu", "--epochs", "2"]).well();
    assert!(folder.path().join("ratings.safetensors").exists());
}

#[test]
fn other_commands_and_bad_flags_are_refused_once() {
    let folder = folder();
    let call = |words: &[&str]| run(&mut deltav_mpi(3, folder.path(), words));
    call(&["devices"]).refused(2, "deltav-mpi has train and plan, and no devices; run deltav devices");
    call(&["train", "ratings.csv", "--rnk", "3"]).refused(2, "unexpected argument '--rnk'");
    call(&["train", "ratings.csv", "--rank", "0"]).refused(2, "rank");
    call(&["train", "none.csv", "--timeout", "-1"]).refused(2, "--timeout");
    call(&["plan", "none.csv"]).refused(66, "none.csv");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_process_speaks() {
    let folder = folder();
    let said = run(&mut deltav_mpi(3, folder.path(), ["--version"])).well();
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
    let said = run(&mut deltav_mpi(3, folder.path(), ["train", "--help"])).well();
    assert_eq!(said.stdout.matches("--timeout").count(), 1, "{said:?}");
    let words = ["plan", "ratings.csv", "--device", "cpu", "--json"];
    let said = run(&mut deltav_mpi(3, folder.path(), words)).well();
    let alone = Command::new(DELTAV).args(words).current_dir(folder.path()).output().unwrap();
    // All but the last line, which has what memory is free.
    let purposes =
        |text: &str| text.lines().filter(|line| line.contains("purpose")).map(str::to_owned).collect();
    let (said, alone): (Vec<_>, Vec<_>) =
        (purposes(&said.stdout), purposes(&String::from_utf8_lossy(&alone.stdout)));
    assert!(said.len() > 10);
    assert_eq!(said, alone);
}

#[test]
fn processes_with_other_settings_are_refused_once() {
    let folder = folder();
    let mut job = mpirun(2);
    let (one, other) = (["train", "ratings.csv", "--rank", "4"], ["train", "ratings.csv", "--rank", "5"]);
    job.arg(DELTAV_MPI).args(one).args([":", "-n", "1", DELTAV_MPI]).args(other).current_dir(folder.path());
    run(&mut job).refused(2, "process 2 has another command line, or other settings, than process 0");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_process_trains_what_the_plain_program_trains() {
    let folder = folder();
    let words = ["train", "ratings.csv", "--device", "cpu", "--epochs", "3", "--out"];
    run(deltav_mpi(1, folder.path(), words).arg("mpi.model")).well();
    let alone =
        Command::new(DELTAV).args(words).arg("plain.model").current_dir(folder.path()).output().unwrap();
    assert!(alone.status.success());
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    assert!(read("mpi.model") == read("plain.model"));
}
