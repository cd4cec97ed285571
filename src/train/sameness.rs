//! What must be the same for a run to go on from a checkpoint, and what may differ.
//!
//! A resumed run gives what the same call would have given without a break, so whatever
//! the factors depend on must agree. Free are: how long it lasts (`--max-seconds`, and `--epochs`
//! where an epoch does not depend on how many there will be), the device, with a notice, and
//! what is done with the result.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Checkpoint, Dataset};
use crate::config::{Checked, Keep, Kernels, Precision, Reg};
use crate::data::Held;
use crate::data::text::hex;
use crate::data::text::one_line;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::world::Share;

/// The setting that stands for the training ratings: their hash.
pub(super) const RATINGS: &str = "ratings";

/// The settings that stand for ratings.
const DATA: [&str; 3] = [RATINGS, "validation ratings", "test ratings"];

/// Everything that must agree, by the name that people know it by.
pub(super) fn settings(
    config: &Checked,
    data: &Dataset,
    initial: Option<&Model>,
    share: Option<&Share>,
) -> BTreeMap<String, String> {
    let held = |held: &Option<Held>| held.as_ref().map_or("none".to_owned(), Held::hash);
    let [train, valid, test] = match share {
        Some(share) => share.hashes.clone(),
        None => [data.train.hash(), held(&data.valid), held(&data.test)],
    };
    let written = &config.config;
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let keep = written.keep.map(Keep::name).map(str::to_owned);
    let mut all = vec![
        (DATA[0], train),
        (DATA[1], valid),
        (DATA[2], test),
        ("version of deltav", env!("CARGO_PKG_VERSION").to_owned()),
        ("--model", config.model.name().to_owned()),
        ("--rank", written.rank.to_string()),
        ("--seed", written.seed.to_string()),
        ("--optimizer", config.spec.name.to_owned()),
        ("--loss", written.loss.name().to_owned()),
        ("--reg", config.reg.to_string()),
        ("--reg-bias", or(written.reg_bias.map(|lambda| lambda.to_string()), "that of --reg")),
        ("--no-clip", if written.clip { "off" } else { "on" }.to_owned()),
        ("--keep", or(keep, "auto")),
        ("--patience", or(written.patience.map(|patience| patience.to_string()), "none")),
        ("--average", written.average.to_string()),
        ("--init-model", or(initial.map(hash), "none")),
    ];
    if config.reg != Reg::Auto {
        all.push(("--reg-scaling", config.reg_scaling.name().to_owned()));
    }
    // What auto means depends on the device, which may differ.
    if written.kernels != Kernels::Auto {
        all.push(("--kernels", written.kernels.name().to_owned()));
    }
    if written.precision != Precision::F32 {
        all.push(("--precision", written.precision.name().to_owned()));
    }
    if config.optimizer.has_horizon() || written.average > 1 {
        all.push(("--epochs", config.epochs.to_string()));
    }
    let mut all: BTreeMap<String, String> =
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (key, text) in config.spec.texts(&written.options) {
        all.insert(format!("--opt {key}"), text);
    }
    all
}

/// Refuses a checkpoint of another run, and names what differs.
pub(super) fn check(checkpoint: &Checkpoint, settings: &BTreeMap<String, String>, epochs: u32) -> Result<()> {
    let (old, path) = (&checkpoint.document().settings, checkpoint.path().display());
    if let Some(name) = DATA.into_iter().find(|&name| old.get(name) != settings.get(name)) {
        let short = |of: &BTreeMap<String, String>| {
            of.get(name).map_or(String::new(), |hash| one_line(hash).chars().take(12).collect())
        };
        return Err(Error::data(
            checkpoint.path(),
            format!("is of other {name}: {} there, {} here", short(old), short(settings)),
            "pass the same files and reading flags, or start anew without --resume",
        ));
    }
    let mut differences: Vec<String> = Vec::new();
    for name in old.keys().chain(settings.keys().filter(|name| !old.contains_key(*name))) {
        let text = |of: &BTreeMap<String, String>| of.get(name).map_or("unset".to_owned(), one_line);
        if old.get(name) != settings.get(name) {
            differences.push(format!(
                "{} is {} there and {} here",
                one_line(name),
                text(old),
                text(settings)
            ));
        }
    }
    // A file may name any settings.
    differences.truncate(settings.len());
    if !differences.is_empty() {
        return Err(Error::usage(
            format!("{path} is of another run: {}", differences.join(", ")),
            "pass the same, or start anew without --resume",
        ));
    }
    let done = checkpoint.epoch();
    if done > epochs {
        return Err(Error::usage(
            format!("{path} has epoch {done} already, and --epochs {epochs} is less"),
            format!("pass --epochs {done} or more"),
        ));
    }
    Ok(())
}

/// SHA-256 of what a model starts another one with, in hex.
fn hash(model: &Model) -> String {
    let mut hash = Sha256::new();
    for ids in [&model.users, &model.items] {
        let (bytes, offsets) = ids.parts();
        offsets.iter().for_each(|offset| hash.update(offset.to_le_bytes()));
        hash.update(bytes);
    }
    let parts = [&model.user_factors, &model.item_factors, &model.user_bias, &model.item_bias];
    parts.into_iter().flatten().for_each(|value| hash.update(value.to_le_bytes()));
    [model.mean, model.scale].into_iter().for_each(|value| hash.update(value.to_le_bytes()));
    hex(&hash.finalize())
}
