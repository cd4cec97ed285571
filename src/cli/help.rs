//! Help that is made from the registries, so that it can't fall behind them.

use std::ffi::OsString;
use std::fmt::Write;

use crate::config::{MAX_RANK, ModelKind};
use crate::data::formats::FORMATS;
use crate::model::{EXPORTS, METRICS, RANKING_METRICS, RankingCompute};
use crate::optim::OPTIMIZERS;

/// Below the list of commands.
pub(super) const FIRST_STEPS: &str = "\
First steps:
  deltav demo                                  see it work on planted ratings
  deltav train ratings.csv --holdout 0.1 --report report.html
                                               writes ratings.safetensors, and its pictures
  deltav recommend ratings.safetensors --user 42 -n 10
  deltav train --help                          every setting";

/// Turns `help` and `help COMMAND`, which people type, into the flag that is the same.
pub(super) fn instead(words: &mut Vec<OsString>) {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.truncate(2);
        words.push("--help".into());
    }
}

/// Below the flags of `train`.
pub(super) const TRAIN_EXAMPLES: &str = "\
Examples:
  deltav train ratings.csv --holdout 0.1
  deltav train u1.train.csv.gz --test u1.test.csv.gz --rank 64 --epochs 36
  deltav train ratings.dat --separator :: --model plain --optimizer gd --loss sum
  zcat ratings.csv.gz | deltav train - --columns userId,movieId,rating --out movies.safetensors";

/// Below the flags of `plan`.
pub(super) const PLAN_EXAMPLES: &str = "\
Takes every flag of `train`: the same call, with `plan` for `train`, reads the ratings once, writes
nothing, and fails with code 71 where `train` would.

Examples:
  deltav plan ratings.csv --rank 128
  deltav plan ratings.csv --device gpu --holdout 0.1 --json";

/// Below the flags of `report`.
pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  deltav report ratings.safetensors --ratings ratings.csv
  deltav report ratings.safetensors --test test.csv --out report.html
  deltav train ratings.csv --holdout 0.1 --report report.html";

/// Below the flags of `cv`.
pub(super) const CV_EXAMPLES: &str = "\
Examples:
  deltav cv ratings.csv --rank 64
  deltav cv --fold-files u1.base:u1.test --fold-files u2.base:u2.test --optimizer als --json";

pub(super) const TUNE_EXAMPLES: &str = "\
Examples:
  deltav tune ratings.csv
  deltav tune ratings.csv --try rank=16,64,256 --max-seconds 600
  deltav tune ratings.csv --optimizer sgd --try reg=0.5,1,2 --try opt.rate=0.05,0.1
  deltav tune ratings.csv --journal tune.json --resume

Every candidate is measured on one split, the better half on as many more, and so on; the defaults
are among them to the end. gain is the RMSE below that of the defaults on the same splits, with its
standard error: what is not twice as large as that may be chance.";

/// Variables of the environment that are no settings of deltav's.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "no colours, if it is set"),
    ("CLICOLOR_FORCE", "colours even where there is no terminal, if it is set and not 0"),
    ("XDG_CACHE_HOME", "the folder in which --cache keeps its own; else .cache in HOME"),
    ("VK_DRIVER_FILES", "of the Vulkan loader: which drivers there are for deltav to find"),
];

/// Files by their names.
pub(super) const FILES: &[(&str, &str)] = &[
    ("NAME.safetensors", "a model, in the folder where train was called"),
    ("FILE of --config", "settings as TOML, a table a command; see --print-config"),
    ("FILE of --checkpoint", "the state of a run that train --resume goes on from"),
    ("~/.cache/deltav", "what --cache keeps of the ratings that were read; may be removed at any time"),
];

/// Every optimiser with its formula and hyperparameters.
pub(super) fn optimizers() -> String {
    let mut text = "How the factors are found. Hyperparameters go to --opt key=value.\n".to_owned();
    for spec in OPTIMIZERS {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "\n{}: {}\n  {}\n  {} epochs by default\n",
            spec.name, spec.summary, spec.formula, spec.epochs
        );
        for h in spec.hyperparameters {
            let _ = writeln!(text, "  --opt {}={}  {} ({})", h.key, h.default, h.doc, h.range);
        }
    }
    text
}

/// The optimisers' own numbers of epochs.
pub(super) fn epochs() -> String {
    let own: Vec<String> =
        OPTIMIZERS.iter().map(|spec| format!("{} for {}", spec.epochs, spec.name)).collect();
    format!("Passes over the ratings; 0 writes the initial factors and biases [default: {}]", own.join(", "))
}

/// The range of ranks.
pub(super) fn rank() -> String {
    format!("Number of latent factors, 1 to {MAX_RANK}")
}

/// Every kind of model with its formula.
pub(super) fn models() -> String {
    let mut text = "The form of a prediction: u, v the factors of a user and an item, b, c their biases, \
                    μ and s the mean and standard deviation of the training ratings.\n"
        .to_owned();
    for kind in ModelKind::ALL {
        let _ = write!(text, "\n{}: {}", kind.name(), kind.formula());
    }
    text
}

/// The formats that ratings are read from.
pub(super) fn inputs() -> String {
    let mut text = "Ratings: files, folders (their files with an extension below, or .gz or .zst), or - for \
                    standard input; gzip and zstd are unpacked. A file's content tells its format:\n"
        .to_owned();
    for format in FORMATS {
        let _ = write!(text, "\n{} (.{}): {}", format.name, format.extensions.join(", ."), format.summary);
    }
    text
}

/// The names of the formats that ratings are read from.
pub(super) fn formats() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    format!("Read every file in this format: {} [default: as its content tells]", names.join(", "))
}

/// What a model is measured by.
pub(super) fn metrics() -> String {
    let mut text = "Errors, of the ratings r predicted as r̂, in rating units:\n".to_owned();
    for metric in METRICS {
        // Writing to a String can't fail.
        let _ = writeln!(text, "  {}: {}\n    {}", metric.name, metric.summary, metric.formula);
    }
    text.push_str(
        "\nRankings of all items that a user did not rate in training, from 0 to 1, the more the better, \
         means over users; r_1 < … < r_R are the ranks of a user's R relevant items, h of them at most k:\n",
    );
    for metric in RANKING_METRICS {
        let at = if matches!(metric.compute, RankingCompute::Whole(_)) { "" } else { "@k" };
        let _ = writeln!(text, "  {}{at}: {}\n    {}", metric.name, metric.summary, metric.formula);
    }
    text.push_str(
        "\nBeside the model: the mean training rating for all (errors), a bias for each user and item (both), \
         and popularity, the number of training ratings (rankings).",
    );
    text
}

/// The names of the formats that models are exported to.
pub(super) fn export_names() -> String {
    let names: Vec<&str> = EXPORTS.iter().map(|format| format.name).collect();
    format!("The format: {}; see --help", names.join(", "))
}

/// The formats that models are exported to.
pub(super) fn exports() -> String {
    let mut text = "The format:\n".to_owned();
    for format in EXPORTS {
        let _ = write!(text, "\n{}: {}", format.name, format.summary);
    }
    text
}
