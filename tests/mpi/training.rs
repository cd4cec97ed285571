//! The same model file, byte for byte, from the plain program and from any number of processes.

use std::fs;
use std::process::Command;

use crate::job::{self, DELTAV, deltav_mpi, run};

/// Every method that trains in many processes, and what goes with it.
const METHODS: [&str; 6] = [
    "--rank 5 --epochs 12 --holdout 0.1",
    "--rank 8 --epochs 9 --model biased --valid valid.csv --keep last",
    "--rank 4 --epochs 6 --reg 1.2 --model centered --duplicates mean --min-ratings 2",
    "--rank 4 --epochs 8 --optimizer gd --test valid.csv",
    "--rank 4 --epochs 8 --optimizer momentum --model biased --holdout 0.2 --holdout-by user",
    "--rank 4 --epochs 8 --optimizer adam --loss sum",
];

fn words(method: &str) -> Vec<&str> {
    ["train", "ratings.csv", "--device", "cpu", "--seed", "7", "--out"]
        .into_iter()
        .chain([""])
        .chain(method.split(' '))
        .collect()
}

/// The words with the name of the output.
fn call<'a>(method: &'a str, out: &'a str) -> Vec<&'a str> {
    words(method).into_iter().map(|word| if word.is_empty() { out } else { word }).collect()
}

#[test]
fn any_number_of_processes_trains_the_plain_program_s_model() {
    let folder = tempfile::tempdir().unwrap();
    job::ratings(folder.path());
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    for (number, method) in METHODS.into_iter().enumerate() {
        let plain = format!("plain{number}");
        let alone =
            Command::new(DELTAV).args(call(method, &plain)).current_dir(folder.path()).output().unwrap();
        assert!(alone.status.success(), "{method}: {}", String::from_utf8_lossy(&alone.stderr));
        // The default in every number; each of the others in one.
        let numbers = if number == 0 { vec![1, 2, 3, 4] } else { vec![2 + number % 3] };
        for processes in numbers {
            let out = format!("mpi{number}-{processes}");
            run(&mut deltav_mpi(processes, folder.path(), call(method, &out))).well();
            assert!(read(&out) == read(&plain), "{method} in {processes} processes");
        }
    }
}

#[test]
fn what_one_process_finds_wrong_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    job::ratings(folder.path());
    let text = fs::read_to_string(folder.path().join("ratings.csv")).unwrap();
    // In the last process's part of the file.
    fs::write(folder.path().join("bad.csv"), format!("{text}u1,i1,five\n")).unwrap();
    let line = text.lines().count() + 1;
    let call = |words: &[&str]| run(&mut deltav_mpi(3, folder.path(), words));
    call(&["train", "bad.csv", "--device", "cpu"]).refused(65, &format!("bad.csv:{line}: "));
    call(&["train", "none.csv", "--device", "cpu"]).refused(66, "none.csv");
    call(&["train", "ratings.csv", "--device", "cpu", "--optimizer", "sgd"]).refused(2, "one process");
    call(&["train", "ratings.csv", "--device", "gpu:99"]).refused(69, "adapter 99");
    fs::write(folder.path().join("old"), "old").unwrap();
    call(&["train", "ratings.csv", "--device", "cpu", "--out", "old"]).refused(73, "old: exists");
    assert_eq!(fs::read_to_string(folder.path().join("old")).unwrap(), "old");
}

#[test]
fn more_processes_than_blocks_of_users_are_refused_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("few.csv"), "user,item,rating\na,x,1\na,y,5\nb,x,2\nb,z,4\n").unwrap();
    let words = ["train", "few.csv", "--device", "cpu", "--epochs", "3"];
    run(&mut deltav_mpi(3, folder.path(), words))
        .refused(2, "3 processes are too many for the ratings of 2 users");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
