//! What was tried, in a file: a tuning that was broken off goes on from it.

use std::fs;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Tuning;
use super::space::Settings;
use super::trial::Outcome;
use crate::config::{Keep, ModelKind, RegScaling, TrainConfig};
use crate::data::text::{hex, one_line};
use crate::data::{HoldoutBy, Ratings};
use crate::error::{Error, Result};
use crate::output::Claim;

/// The number of the format.
const FORMAT: u32 = 1;

/// The largest file that is read: thousands of curves.
const MOST_BYTES: u64 = 64 << 20;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Document {
    /// The format's number.
    tuning: u32,
    /// What must be the same for the results to be those of the same call.
    of: Vec<(String, String)>,
    /// What was measured.
    runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Run {
    settings: Settings,
    #[serde(flatten)]
    outcome: Outcome,
}

/// A file that every run is kept in as it ends.
#[derive(Debug)]
pub struct Journal {
    file: Claim,
    document: Document,
}

impl Journal {
    /// A journal for this tuning of these ratings, in a file that was claimed. `resume`: with what the file
    /// has, if it is there.
    ///
    /// # Errors
    /// [`Error::Data`] if what is there is no journal, or one of other ratings; [`Error::Usage`] if it is
    /// one of another call; [`Error::NoInput`] if it can't be read.
    pub fn open(file: Claim, resume: bool, tuning: &Tuning, ratings: &Ratings) -> Result<Self> {
        let of = identity(tuning, ratings);
        let mut journal = Self { file, document: Document { tuning: FORMAT, of, runs: Vec::new() } };
        if resume && fs::symlink_metadata(journal.file.path()).is_ok() {
            journal.document.runs = journal.load()?;
        }
        Ok(journal)
    }

    fn load(&self) -> Result<Vec<Run>> {
        let path = self.file.path();
        let no_input = |source| Error::NoInput { path: path.to_owned(), source };
        let bad =
            |what: String| Error::data(path, what, "pass another --journal, or start anew without --resume");
        let mut text = Vec::new();
        let file = fs::File::open(path).map_err(no_input)?;
        file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(no_input)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(bad("is too large for a journal of `deltav tune`".to_owned()));
        }
        let document: Document = serde_json::from_slice(&text)
            .map_err(|error| bad(format!("is no journal of `deltav tune`: {}", one_line(&error))))?;
        if document.tuning != FORMAT {
            return Err(bad(format!(
                "is a journal of format {}, and this version reads {FORMAT}",
                document.tuning
            )));
        }
        let same = |mine: &(String, String)| document.of.contains(mine);
        if let Some((name, here)) = self.document.of.iter().find(|mine| !same(mine)) {
            let there = document.of.iter().find(|(other, _)| other == name);
            let there = there.map_or("unset".to_owned(), |(_, value)| one_line(value));
            return Err(bad(format!("is of another call: {name} is {there} there and {here} here")));
        }
        let finite = |run: &Run| run.outcome.curve.iter().all(|rmse| rmse.is_finite());
        if !document.runs.iter().all(finite) {
            return Err(bad("has errors that are no numbers".to_owned()));
        }
        Ok(document.runs)
    }

    /// Runs that are known.
    pub fn len(&self) -> usize {
        self.document.runs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.document.runs.is_empty()
    }

    /// What was measured of these settings on this split.
    pub(super) fn find(&self, settings: &Settings, split: u32) -> Option<Outcome> {
        let same = |run: &&Run| run.outcome.split == split && run.settings == *settings;
        self.document.runs.iter().find(same).map(|run| run.outcome.clone())
    }

    /// Keeps a run: the file has it when this returns.
    pub(super) fn keep(&mut self, settings: &Settings, outcome: &Outcome) -> Result<()> {
        self.document.runs.push(Run { settings: settings.clone(), outcome: outcome.clone() });
        let text = serde_json::to_vec(&self.document)
            .map_err(|error| Error::Internal(format!("a journal that is no JSON: {error}")))?;
        if text.len() as u64 > MOST_BYTES {
            let what =
                format!("{}: no journal may be larger than {MOST_BYTES} bytes", self.file.path().display());
            return Err(Error::usage(what, "pass fewer --epochs, or try fewer values"));
        }
        self.file.write(|draft| draft.write_all(&text)).map(drop)
    }
}

/// SHA-256 of timestamps, in hex: the ratings' own hash leaves them out.
fn times_hash(times: &[i64]) -> String {
    let mut hash = Sha256::new();
    times.iter().for_each(|time| hash.update(time.to_le_bytes()));
    hex(&hash.finalize())
}

/// What the results depend on.
fn identity(tuning: &Tuning, ratings: &Ratings) -> Vec<(String, String)> {
    // All fields, so that no new one is forgotten.
    let TrainConfig {
        model,
        rank,
        epochs,
        seed,
        optimizer,
        options,
        loss,
        reg,
        reg_scaling,
        reg_bias,
        clip,
        keep,
        patience,
        average,
        max_seconds,
        kernels,
        precision,
    } = &tuning.base;
    let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let times = ratings.time.as_deref().filter(|_| tuning.holdout_by == HoldoutBy::Time);
    // How many splits there are, how long that takes and on what device is free.
    let of = [
        ("ratings", ratings.hash()),
        ("timestamps", times.map_or("none".to_owned(), times_hash)),
        ("version of deltav", env!("CARGO_PKG_VERSION").to_owned()),
        ("--holdout", tuning.holdout.to_string()),
        ("--holdout-by", tuning.holdout_by.name().to_owned()),
        ("--model", or_auto(model.map(ModelKind::name))),
        ("--rank", rank.to_string()),
        ("--epochs", or_auto(*epochs)),
        ("--seed", seed.to_string()),
        ("--optimizer", optimizer.clone()),
        ("--opt", options.join(" ")),
        ("--loss", loss.name().to_owned()),
        ("--reg", or_auto(*reg)),
        ("--reg-scaling", or_auto(reg_scaling.map(RegScaling::name))),
        ("--reg-bias", or_auto(*reg_bias)),
        ("--no-clip", (!clip).to_string()),
        ("--keep", or_auto(keep.map(Keep::name))),
        ("--patience", or_auto(*patience)),
        ("--average", average.to_string()),
        ("--max-seconds of a run", or_auto(*max_seconds)),
        ("--kernels", kernels.name().to_owned()),
        ("--precision", precision.name().to_owned()),
    ];
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn or_auto(value: Option<impl ToString>) -> String {
    value.map_or("auto".to_owned(), |value| value.to_string())
}
