//! Configuration files and the environment: what holds for a call, and where it was said.

use clap::CommandFactory;

use super::{Folder, Outcome};

/// A call with these variables of the environment.
fn with(folder: &Folder, variables: &[(&str, &str)], call: &[&str]) -> Outcome {
    Outcome::of(folder.command(call).envs(variables.iter().copied()))
}

/// The line of a key in what `--print-config` prints.
fn line<'t>(text: &'t str, key: &str) -> &'t str {
    let is_of = |line: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" ="));
    text.lines().find(is_of).unwrap_or_else(|| panic!("no {key} in {text}"))
}

/// The same without its value's padding: `rank = 8 # flag`.
fn told(text: &str, key: &str) -> String {
    line(text, key).split_whitespace().collect::<Vec<_>>().join(" ")
}

const SMALL: [&str; 9] = [
    "train",
    "ratings.csv",
    "--rank",
    "4",
    "--epochs",
    "12",
    "--device",
    "cpu",
    "--seed=18446744073709551615",
];

#[test]
fn a_run_from_its_printed_settings_has_the_same_bits() {
    let folder = Folder::planted();
    for (name, more) in [
        ("learned", &["--holdout", "0.1", "--holdout-by", "user", "--patience", "5"][..]),
        ("fixed", &["--reg", "0.3", "--reg-scaling", "count", "--test", "test.csv", "--no-clip"]),
        (
            "sgd",
            &["--optimizer", "sgd", "--opt", "rate=0.1", "--opt", "adagrad=off", "--min-ratings", "5,10"],
        ),
        ("valid", &["--valid", "test.csv", "--average", "2", "--keep", "last", "--cache=kept"]),
    ] {
        let call = [&SMALL[..], more].concat();
        let text = folder.succeed(&[&call[..], &["--print-config"]].concat());
        folder.write("run.toml", &text);
        folder.succeed(&[&call[..], &["--out", "a", "--force"]].concat());
        folder.succeed(&["train", "--config", "run.toml", "--out", "b", "--force"]);
        assert!(folder.read("a") == folder.read("b"), "{name}: {text}");

        // And what is printed of the file is the file, but for where it comes from.
        let values = |text: &str| -> Vec<String> {
            let value = |line: &str| line.split(" # ").next().unwrap().trim().to_owned();
            text.lines().filter(|line| !line.starts_with('#')).map(value).collect()
        };
        let again = folder.succeed(&["--config", "run.toml", "train", "--print-config"]);
        assert_eq!(values(&again), values(&text), "{name}");
        assert!(told(&again, "rank").starts_with("rank = 4 # run.toml:"), "{again}");

        // The model knows its settings, too.
        folder.write("model.toml", folder.succeed(&["inspect", "a", "--train-config"]));
        let files =
            [&["train", "ratings.csv", "--config", "model.toml", "--out", "c", "--force"][..], &more[..2]];
        folder.succeed(&[&files.concat()[..], &["--device", "cpu"]].concat());
        let npz = |model: &str| {
            folder.succeed(&["export", model, "--format", "npz", "--out", "m.npz", "--force"]);
            folder.read("m.npz")
        };
        assert!(npz("a") == npz("c"), "{name}");
    }
}

#[test]
fn a_flag_is_before_the_environment_the_file_and_the_default() {
    let folder = Folder::new();
    folder.write("run.toml", "device = 'cpu'\nseed = 1\n[train]\nrank = 4\nepochs = 5\n\nreg = 'auto'\n");
    let all = ["train", "r.csv", "--config", "run.toml", "--print-config", "--reg", "0.1"];
    let environment = [("DELTAV_TRAIN_EPOCHS", "6"), ("DELTAV_SEED", "2"), ("DELTAV_TRAIN_LOSS", "")];
    let Outcome { code, stdout, stderr } = with(&folder, &environment, &all);
    assert_eq!((code, &*stderr), (Some(0), ""));
    for (key, expected) in [
        ("files", "files = [\"r.csv\"] # flag"),
        ("reg", "reg = 0.1 # flag"),
        ("epochs", "epochs = 6 # DELTAV_TRAIN_EPOCHS"),
        ("seed", "seed = 2 # DELTAV_SEED"),
        ("rank", "rank = 4 # run.toml:4"),
        ("device", "device = \"cpu\" # run.toml:1"),
        ("loss", "loss = \"mean\" # default"),
        ("# holdout", "# holdout = FRACTION"),
    ] {
        assert_eq!(told(&stdout, key), expected);
    }
    // One command's variable is before all commands'; the file may be named by the environment.
    let environment = [("DELTAV_SEED", "2"), ("DELTAV_TRAIN_SEED", "3"), ("DELTAV_CONFIG", "run.toml")];
    let stdout = with(&folder, &environment, &["train", "--print-config"]).stdout;
    assert_eq!(told(&stdout, "seed"), "seed = 3 # DELTAV_TRAIN_SEED");
    assert_eq!(told(&stdout, "rank"), "rank = 4 # run.toml:4");
    // `plan` takes what `train` takes.
    let stdout =
        with(&folder, &[("DELTAV_TRAIN_SEED", "3")], &["plan", "--config=run.toml", "--print-config"]).stdout;
    assert_eq!(told(&stdout, "seed"), "seed = 3 # DELTAV_TRAIN_SEED");
    assert_eq!(told(&stdout, "rank"), "rank = 4 # run.toml:4");
    // Another command has neither.
    let stdout = folder.succeed(&["recommend", "m", "--config", "run.toml", "--print-config"]);
    assert_eq!(told(&stdout, "device"), "device = \"cpu\" # run.toml:1");
    assert_eq!(told(&stdout, "model"), "model = \"m\" # flag");
}

#[test]
fn switches_lists_and_pairs_have_their_toml() {
    let folder = Folder::new();
    let printed = |toml: &str, call: &[&str]| {
        folder.write("c.toml", toml);
        folder.succeed(&[call, &["--config", "c.toml", "--print-config"]].concat())
    };
    let text = printed(
        "quiet = true\n[train]\nfiles = ['a b.csv', '-c.csv', '-']\nforce = true\nno-clip = false\ncache = true\n\
         opt = { rate = 0.10, adagrad = false, shuffle = true }\nrating-range = '-1..1'\nrank = 0x10\nseed = 1_000\n",
        &["train"],
    );
    for (key, expected) in [
        ("files", "files = [\"a b.csv\", \"-c.csv\", \"-\"] # c.toml:3"),
        ("force", "force = true # c.toml:4"),
        ("no-clip", "no-clip = false # default"),
        ("cache", "cache = true # c.toml:6"),
        ("opt", "opt = [\"rate=0.10\", \"adagrad=off\", \"shuffle=on\"] # c.toml:7"),
        ("rating-range", "rating-range = \"-1..1\" # c.toml:8"),
        ("rank", "rank = 16 # c.toml:9"),
        ("seed", "seed = 1000 # c.toml:10"),
        ("quiet", "quiet = true # c.toml:1"),
    ] {
        assert_eq!(told(&text, key), expected);
    }
    let text = printed("[train]\ncache = 'a=b'\nopt = ['rate=1']\ntest = 'one.csv'\n", &["train", "x"]);
    assert_eq!(told(&text, "cache"), "cache = \"a=b\" # c.toml:2");
    assert_eq!(told(&text, "test"), "test = [\"one.csv\"] # c.toml:4");
    let text = printed("[evaluate]\nk = [5, 10]\nmodel = 'm'\ntest = ['t.csv']\n", &["evaluate"]);
    assert_eq!(told(&text, "k"), "k = [5, 10] # c.toml:2");
    assert_eq!(told(&text, "test"), "test = [\"t.csv\"] # c.toml:4");
    // Ids are texts, and what a flag names is the whole list.
    let text = printed("[recommend]\nmodel = 'm'\nuser = ['1', '007']\n", &["recommend"]);
    assert_eq!(told(&text, "user"), "user = [\"1\", \"007\"] # c.toml:3");
    let text = printed("[recommend]\nuser = ['1', '007']\n", &["recommend", "m", "--user", "9"]);
    assert_eq!(told(&text, "user"), "user = [\"9\"] # flag");
    // Off in the environment is before on in the file.
    folder.write("c.toml", "[train]\nforce = true\ncache = true\n");
    let off = [("DELTAV_TRAIN_FORCE", "off"), ("DELTAV_CACHE", "false")];
    let text = with(&folder, &off, &["train", "--config", "c.toml", "--print-config"]).stdout;
    assert_eq!(told(&text, "force"), "force = false # default");
    assert!(text.contains("# cache = FOLDER"), "{text}");
}

#[test]
fn what_contradicts_a_flag_gives_way_with_what_needs_it() {
    let folder = Folder::planted();
    folder.write("c.toml", "[train]\nrank = 4\nepochs = 12\nholdout = 0.1\nholdout-by = 'user'\n");
    let call = ["train", "ratings.csv", "--config", "c.toml", "--valid", "test.csv", "--device", "cpu"];
    let outcome = folder.run(&call);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.starts_with(
            "note: holdout of c.toml:4 gives way to --valid\nnote: holdout-by of c.toml:5 is left out with it\n"
        ),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("2,700 ratings, 300 for validation"), "{}", outcome.stderr);
    let text = folder.succeed(&[&call[..], &["--print-config"]].concat());
    assert!(text.contains("\n# holdout = FRACTION\n") && text.contains("\n# holdout-by = WHICH\n"), "{text}");

    // One of a group: whom to recommend to.
    folder.write("r.toml", "[recommend]\nall = true\nmodel = 'ratings.safetensors'\n");
    let one = folder.succeed(&["recommend", "--config", "r.toml", "--user", "u1", "-n", "3"]);
    assert_eq!(one.lines().count(), 4, "{one}");
    assert!(folder.succeed(&["recommend", "--config", "r.toml"]).lines().count() > 1000);
    // Said for all commands, it gives way in silence.
    let outcome = with(
        &folder,
        &[("DELTAV_DEVICE", "cpu")],
        &["recommend", "ratings.safetensors", "--user", "u1", "--explore", "ucb"],
    );
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    // Within a file nothing gives way.
    folder.write("both.toml", "[train]\nholdout = 0.1\nvalid = 'test.csv'\n");
    let line = folder.fail(&["train", "ratings.csv", "--config", "both.toml"], 2);
    assert!(line.starts_with("error: both.toml:") && line.contains("cannot be used with"), "{line}");
}

#[test]
fn every_mistake_in_a_file_is_one_line_with_its_place() {
    let folder = Folder::new();
    for (toml, expected) in [
        ("\n[train]\nrnk = 4\n", "c.toml:3: rnk: no such flag; did you mean rank? see deltav train --help"),
        (
            "[train]\nreg_bias = 4\n",
            "c.toml:2: reg_bias: no such flag; did you mean reg-bias? see deltav train --help",
        ),
        ("[trian]\n", "c.toml:1: trian: there is no such command; did you mean train? see deltav --help"),
        ("train = 3\n", "c.toml:1: train: is a number; write a table, which begins with [train]"),
        ("[[train]]\nrank = 4\n", "c.toml:1: train: is a list; write a table, which begins with [train]"),
        ("zzz = 1\n", "c.toml:1: zzz: no command has this flag; see deltav --help"),
        ("files = ['a']\n", "c.toml:1: files: no command has this flag; "),
        ("config = 'a'\n", "c.toml:1: config: no command has this flag; "),
        // Of a command that is not called, too.
        ("[similar]\nzzz = 1\n", "c.toml:2: zzz: no such flag; see deltav similar --help"),
        ("[similar]\ncount = [1]\n", "c.toml:2: count: is a list; write one value"),
        ("[train]\nrank = 2020-01-01\n", "c.toml:2: rank: is a date or a time; write one value"),
        ("[train]\nrank = true\n", "c.toml:2: rank: is true or false; write one value"),
        ("[train]\nrank = {}\n", "c.toml:2: rank: is a table; write one value"),
        ("[train]\nforce = 1\n", "c.toml:2: force: is a number; write true or false"),
        ("[train]\nopt = [[1]]\n", "c.toml:2: opt: is a list; write one value"),
        ("[train]\nrank = 4\nrank = 5\n", "c.toml:3: duplicate key; write TOML: key = value"),
        ("[train]\nrank 4\n", "c.toml:2: "),
        (
            "[train]\nrank = 'four'\n",
            "c.toml:2: invalid value 'four' for '--rank <K>': pass a whole number from 0; ",
        ),
        (
            "[train]\nrank = -1\n",
            "c.toml:2: invalid value '-1' for '--rank <K>': pass a whole number from 0; ",
        ),
        ("[train]\nrank = 99999999999999999999\n", "c.toml:2: invalid value '99999999999999999999' for "),
        ("[train]\nrank = 0xffffffffffffffffff\n", "c.toml:2: invalid value '0xffffffffffffffffff' for "),
        ("[train]\nrank = 0\n", "c.toml:2: rank 0 is out of range; pass a rank from 1 to 512"),
        (
            "[train]\nholdout = nan\n",
            "c.toml:2: invalid value 'nan' for '--holdout <FRACTION>': pass a fraction",
        ),
        ("[train]\nmax-seconds = inf\n", "c.toml:2: inf seconds are no time to train in; "),
        ("[train]\nreg = 1e39\n", "c.toml:2: "),
        (
            "[train]\nloss = 'both'\n",
            "c.toml:2: invalid value 'both' for '--loss <LOSS>' [possible values: mean, sum]",
        ),
        (
            "[train]\nresume = true\n",
            "the following required arguments were not provided: --checkpoint <FILE>",
        ),
        ("[train]\nmodel = 'svdpp'\nreg = 1\n", "c.toml:2: --model svdpp learns its regularization; "),
    ] {
        folder.write("c.toml", toml);
        let line = folder.fail(&["train", "missing.csv", "--config", "c.toml"], 2);
        assert!(line.starts_with(&format!("error: {expected}")), "{toml}: {line}");
    }
    let many = format!("[train]\nopt = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in [&b"[train]\nrank = \xff\n"[..], many.as_bytes(), &[b'#'; 2 << 20]] {
        folder.write("c.toml", bytes);
        let line = folder.fail(&["train", "missing.csv", "--config", "c.toml"], 2);
        assert!(line.starts_with("error: c.toml:") && line.len() < 400, "{line}");
    }
    assert!(folder.fail(&["train", "x", "--config", "none.toml"], 66).starts_with("error: none.toml: "));
    assert!(folder.fail(&["train", "x", "--config", "."], 66).starts_with("error: .: "));
}

#[test]
fn a_mistake_in_the_environment_names_its_variable() {
    let folder = Folder::new();
    for (name, value, expected) in [
        ("DELTAV_TRAIN_RANK", "four", "DELTAV_TRAIN_RANK: invalid value 'four' for '--rank <K>': "),
        (
            "DELTAV_TRAIN_FORCE",
            "maybe",
            "DELTAV_TRAIN_FORCE: is \"maybe\"; set it to true or false, or unset it",
        ),
        ("DELTAV_RANK", "0", "DELTAV_RANK: rank 0 is out of range; "),
    ] {
        let outcome = with(&folder, &[(name, value)], &["train", "missing.csv"]);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.starts_with(&format!("error: {expected}")), "{}", outcome.stderr);
    }
    for (value, times) in [("true", 1), ("0", 0), ("2", 2)] {
        let outcome = with(&folder, &[("DELTAV_VERBOSE", value)], &["train", "--print-config"]);
        assert!(outcome.stdout.contains(&format!("\nverbose = {times} ")), "{value}: {}", outcome.stdout);
    }
    // Variables of no flag are somebody else's.
    let unknown = [("DELTAV_TRAIN_RNK", "x"), ("DELTAV_WRITE_README", "1"), ("DELTAV_FILES", "a")];
    assert_eq!(with(&folder, &unknown, &["train", "--print-config"]).code, Some(0));
}

#[test]
fn the_settings_of_every_command_can_be_printed_and_read() {
    let folder = Folder::new();
    let mut commands = 0;
    for command in deltav::cli::Cli::command().get_subcommands() {
        let name = command.get_name();
        let text = folder.succeed(&[name, "--print-config"]);
        assert!(text.starts_with("# deltav ") && text.contains(&format!("\n[{name}]\n")), "{text}");
        folder.write("c.toml", &text);
        folder.succeed(&[name, "--config", "c.toml", "--print-config"]);
        commands += 1;
    }
    assert!(commands > 10);
    // A default that contradicts what was asked for is not written down.
    let call = ["recommend", "m", "--user", "1", "--explore", "ucb", "--print-config"];
    let text = folder.succeed(&call);
    assert!(!text.contains("\ndevice = "), "{text}");
    folder.write("c.toml", text);
    folder.succeed(&["recommend", "--config", "c.toml", "--print-config"]);
}

#[test]
fn files_after_two_dashes_stay_files() {
    let folder = Folder::new();
    folder.write("c.toml", "[predict]\npairs = ['p.csv']\nunknown = 'skip'\n[train]\nrank = 4\n");
    let text = folder.succeed(&["train", "--config", "c.toml", "--print-config", "--", "--odd"]);
    assert_eq!(told(&text, "files"), "files = [\"--odd\"] # flag");
    assert_eq!(told(&text, "rank"), "rank = 4 # c.toml:5");
    let text = folder.succeed(&["predict", "--config", "c.toml", "--print-config", "--", "--odd"]);
    assert_eq!(told(&text, "model"), "model = \"--odd\" # flag");
    assert_eq!(told(&text, "pairs"), "pairs = [\"p.csv\"] # c.toml:2");
    // A file that is missing before it is not taken from it.
    let line = folder.fail(&["predict", "--config", "c.toml"], 2);
    assert!(line.contains("required arguments were not provided: <MODEL>"), "{line}");
    // A command's name may be a file's.
    let text = folder.succeed(&["--config", "c.toml", "-q", "train", "train", "--print-config"]);
    assert_eq!(
        (told(&text, "rank"), told(&text, "quiet")),
        ("rank = 4 # c.toml:5".into(), "quiet = true # flag".into())
    );
}
