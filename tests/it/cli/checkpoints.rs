//! `--checkpoint`, `--resume` and `--init-model`.

use super::{Folder, events};

const CALL: [&str; 8] = ["train", "ratings.csv", "--rank", "4", "--device", "cpu", "--holdout", "0.1"];
const CHECKPOINT: [&str; 4] = ["--checkpoint", "run.ckpt", "--checkpoint-every", "4"];

fn call<'a>(more: &[&[&'a str]]) -> Vec<&'a str> {
    [&CALL[..], &more.concat()].concat()
}

#[test]
fn a_resumed_run_writes_the_same_model() {
    let folder = Folder::planted();
    folder.succeed(&call(&[&["--epochs", "20", "--out", "whole"]]));
    let all = folder.json(&call(&[&CHECKPOINT, &["--epochs", "10", "--out", "part", "--json"]]));
    let saved = events(&all, "checkpoint");
    let epochs: Vec<u64> = saved.iter().map(|event| event["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [4, 8, 10], "and one at the end");
    assert_eq!(saved[2]["path"], "run.ckpt");
    assert_eq!(saved[2]["bytes"], folder.read("run.ckpt").len());
    assert_ne!(folder.read("whole"), folder.read("part"));

    let resume = call(&[&CHECKPOINT, &["--epochs", "20", "--out", "resumed", "--resume"]]);
    let stderr = folder.run(&resume).stderr;
    assert!(stderr.contains("note: going on after epoch 10 in run.ckpt\n"), "{stderr}");
    assert!(folder.read("whole") == folder.read("resumed"));
    // Of a run that is done nothing is left to do but the model.
    let done =
        folder.json(&call(&[&CHECKPOINT, &["--epochs", "20", "--out", "again", "--resume", "--json"]]));
    assert_eq!((events(&done, "epoch").len(), events(&done, "checkpoint").len()), (0, 0));
    assert!(folder.read("whole") == folder.read("again"));
    assert_eq!(folder.files(), ["again", "part", "ratings.csv", "resumed", "run.ckpt", "test.csv", "whole"]);
}

#[test]
fn a_checkpoint_is_replaced_only_if_one_says_so() {
    let folder = Folder::planted();
    let resume = call(&[&CHECKPOINT, &["--epochs", "4", "--resume"]]);
    let stderr = folder.run(&resume).stderr;
    assert!(stderr.contains("note: there is no run.ckpt yet: starting with the first epoch\n"), "{stderr}");
    let first = folder.read("run.ckpt");
    let anew = call(&[&CHECKPOINT, &["--epochs", "5", "--out", "m"]]);
    let line = folder.fail(&anew, 73);
    assert_eq!(line, "error: run.ckpt: exists; pass --resume to go on from it, or --force to start anew");
    assert!(folder.read("run.ckpt") == first);
    folder.succeed(&[&anew[..], &["--force"]].concat());
    assert!(folder.read("run.ckpt") != first);
}

#[test]
fn another_run_is_refused_and_the_difference_named() {
    let folder = Folder::planted();
    folder.succeed(&call(&[&CHECKPOINT, &["--epochs", "4"]]));
    let before = folder.read("run.ckpt");
    let resume = |more: &[&str], code: i32| {
        folder.fail(&call(&[&CHECKPOINT, &["--epochs", "6", "--out", "m", "--resume"], more]), code)
    };
    let line = resume(&["--seed", "3"], 65);
    assert!(line.starts_with("error: run.ckpt: is of other ratings: "), "another hold-out: {line}");
    assert!(
        line.ends_with("; pass the same files and reading flags, or start anew without --resume"),
        "{line}"
    );
    let line = resume(&["--opt", "momentum=0.5"], 2);
    assert_eq!(
        line,
        "error: run.ckpt is of another run: --opt momentum is 0.7 there and 0.5 here; \
         pass the same, or start anew without --resume"
    );
    let line = resume(&["--average", "2"], 2);
    assert!(line.contains("--average is 1 there and 2 here"), "{line}");
    folder.write("ratings.csv", "user,item,rating\na,x,1\na,y,2\nb,x,3\nb,y,4\n");
    assert!(resume(&[], 65).contains("is of other ratings"));
    assert!(folder.read("run.ckpt") == before);
}

#[test]
fn flags_that_can_t_be_meant_are_refused() {
    let folder = Folder::planted();
    for (flags, code, named) in [
        (&["--resume"][..], 2, "--checkpoint <FILE>"),
        (&["--checkpoint-every", "3"], 2, "--checkpoint <FILE>"),
        (
            &["--checkpoint", "c", "--checkpoint-every", "0"],
            2,
            "neither a number of epochs from 1 nor seconds",
        ),
        (
            &["--checkpoint", "c", "--checkpoint-every", "-1"],
            2,
            "neither a number of epochs from 1 nor seconds",
        ),
        (&["--checkpoint", "c", "--checkpoint-every", "5m"], 2, "such as 30s"),
        (&["--checkpoint", "./m", "--out", "m"], 73, "is --out and --checkpoint at once"),
        (&["--checkpoint", "ratings.csv", "--force"], 73, "is an input of this very call"),
        (&["--checkpoint", "no/c"], 73, "folder no does not exist"),
        (&["--checkpoint", ".", "--resume"], 73, "is a folder"),
        (&["--init-model", "none"], 66, "none: "),
    ] {
        let line = folder.fail(&call(&[flags]), code);
        assert!(line.contains(named), "{flags:?}: {line}");
    }
}

#[test]
fn what_is_no_checkpoint_is_refused_and_stays() {
    let folder = Folder::planted();
    folder.succeed(&call(&[&CHECKPOINT, &["--epochs", "4", "--out", "model"]]));
    let sound = folder.read("run.ckpt");
    let resume = |bytes: &[u8]| {
        folder.write("run.ckpt", bytes);
        let line = folder.fail(&call(&[&CHECKPOINT, &["--epochs", "6", "--out", "m", "--resume"]]), 65);
        assert!(folder.read("run.ckpt") == bytes, "{line}");
        line
    };
    assert!(resume(b"").contains("is not a safetensors file"));
    assert!(
        resume(b"user,item,rating\n1,1,5\n")
            .contains("is text, not a safetensors file; pass what `deltav train`")
    );
    assert!(resume(&sound[..sound.len() - 1]).contains("cut short or damaged"));
    assert!(resume(&folder.read("model")).contains("is a model, not a checkpoint; pass it as --init-model"));
    folder.write("run.ckpt", &sound);
    let line = folder.fail(&["predict", "run.ckpt", "test.csv"], 65);
    assert!(line.contains("is a checkpoint of a training, not a model"), "{line}");
}

#[test]
fn a_warm_start_is_a_run_of_its_own() {
    let folder = Folder::planted();
    folder.succeed(&call(&[&["--epochs", "20", "--out", "old"]]));
    let rmse = |more: &[&str]| {
        let all = folder.json(&call(&[&["--epochs", "1", "--out", "new", "--force", "--json"], more]));
        events(&all, "epoch")[0]["train_rmse"].as_f64().unwrap()
    };
    assert!(rmse(&["--init-model", "old"]) < 0.9 * rmse(&[]));
    let other =
        ["train", "ratings.csv", "--rank", "5", "--init-model", "old", "--out", "x", "--device", "cpu", "-q"];
    let line = folder.fail(&other, 2);
    assert!(line.starts_with("error: the initial model has rank 4, not 5; pass --rank 4"), "{line}");
}
