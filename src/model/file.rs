//! The model file: safetensors, so that other programs can read it too.
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `user_factors`, `item_factors` | F32 | `[m, k]`, `[n, k]` |
//! | `user_bias`, `item_bias` | F32 | `[m]`, `[n]` |
//! | `mean`, `scale` | F64 | scalar |
//! | `user_ids`, `item_ids` | U8 | bytes of all ids, one after the other |
//! | `user_id_offsets`, `item_id_offsets` | U64 | `[m + 1]`, `[n + 1]` into the bytes |
//! | `seen_offsets`, `seen_items` | U64, U32 | `[m + 1]`, `[nnz]` |
//! | `checksum` (since format 2) | U8 | `[4]`: CRC-32 of every byte before it, little-endian; lies last |
//!
//! A model whose items have names also has these two:
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `item_names` | U8 | UTF-8 bytes of all names, one after the other |
//! | `item_name_offsets` | U64 | `[n + 1]` into the bytes |
//!
//! A model with a posterior also has, all of them:
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `user_variances`, `item_variances` | F32 | `[m, k]`, `[n, k]` |
//! | `user_bias_variances`, `item_bias_variances` | F32 | `[m]`, `[n]` |
//! | `user_noise` | F32 | `[m]` |
//! | `user_prior`, `item_prior` | F64 | `[k]` |
//! | `user_mask_factors`, `item_mask_factors` (svdpp) | F32 | `[n, k]`, `[m, k]` |
//!
//! Since there is a bias baseline to compare with, both of:
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `baseline_user_bias`, `baseline_item_bias` | F32 | `[m]`, `[n]`, in rating units |
//!
//! `__metadata__` has one key, `deltav`, with a JSON document: the format's
//! number, the model's kind, rank and clip, the posterior's scalars if there is
//! one, and its [`Metadata`].

// Bytes of others flow through here: nothing may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod size;

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tensors::{self, Tensor, TensorFile};
use super::{BaselineBiases, Calibration, MaskFactors, Metadata, Model, Posterior};
use crate::config::ModelKind;
use crate::data::text::one_line;
use crate::data::{Compressed, Ids};
use crate::error::{Error, Result};
use crate::output::Output;

/// The number of the format that this version writes. It reads this one and every older one.
pub(crate) const FORMAT: u32 = 2;
/// The first format whose files have a checksum.
const FIRST_WITH_CHECKSUM: u32 = 2;
/// Either both are there or neither.
const BASELINE: [&str; 2] = ["baseline_user_bias", "baseline_item_bias"];

#[derive(Serialize, Deserialize)]
struct Document<M> {
    format: u32,
    kind: ModelKind,
    rank: usize,
    clip: bool,
    // Left out where there is none, as it was before there were posteriors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    posterior: Option<PosteriorScalars>,
    metadata: M,
}

/// A posterior without its tensors.
#[derive(Serialize, Deserialize)]
struct PosteriorScalars {
    noise: f64,
    user_bias_prior: f64,
    item_bias_prior: f64,
    calibration: Option<Calibration>,
    /// Whether there are the mask's factors.
    mask: bool,
}

/// What every version's document has.
#[derive(Deserialize)]
struct Format {
    format: Option<u32>,
    /// Only a checkpoint has it.
    checkpoint: Option<u32>,
}

impl Model {
    /// Writes the model to `path` and returns the file's size in bytes.
    ///
    /// The file appears complete or not at all, and the same model gives the same bytes.
    ///
    /// # Errors
    /// As [`Output::create`] and [`Model::save_to`].
    pub fn save(&self, path: impl AsRef<Path>, force: bool) -> Result<u64> {
        self.save_to(Output::create(path, force)?)
    }

    /// Writes the model to an output that was opened before training, and commits it.
    ///
    /// # Errors
    /// [`Error::Io`] if a write fails, [`Error::Internal`] if the model fails [`Model::check`]:
    /// NaN is never saved. Nothing is replaced then. [`Error::CantCreate`] as [`Output::commit`].
    pub fn save_to(&self, mut output: Output) -> Result<u64> {
        self.check().map_err(|what| Error::Internal(format!("the model can't be saved: {what}")))?;
        self.write(&mut output).map_err(|source| output.io_error(source))?;
        output.commit()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (m, n, k) = (self.users.len(), self.items.len(), self.rank);
        let (user_ids, user_id_offsets) = self.users.parts();
        let (item_ids, item_id_offsets) = self.items.parts();
        let posterior = self.posterior.as_ref().map(|posterior| PosteriorScalars {
            noise: posterior.noise,
            user_bias_prior: posterior.user_bias_prior,
            item_bias_prior: posterior.item_bias_prior,
            calibration: posterior.calibration,
            mask: posterior.mask.is_some(),
        });
        let document = Document {
            format: FORMAT,
            kind: self.kind,
            rank: k,
            clip: self.clip,
            posterior,
            metadata: &self.metadata,
        };
        let mut tensors = vec![
            Tensor::new("user_factors", &[m, k], &self.user_factors),
            Tensor::new("item_factors", &[n, k], &self.item_factors),
            Tensor::new("user_bias", &[m], &self.user_bias),
            Tensor::new("item_bias", &[n], &self.item_bias),
            Tensor::new("mean", &[], std::slice::from_ref(&self.mean)),
            Tensor::new("scale", &[], std::slice::from_ref(&self.scale)),
            Tensor::new("user_ids", &[user_ids.len()], user_ids),
            Tensor::new("user_id_offsets", &[user_id_offsets.len()], user_id_offsets),
            Tensor::new("item_ids", &[item_ids.len()], item_ids),
            Tensor::new("item_id_offsets", &[item_id_offsets.len()], item_id_offsets),
            Tensor::new("seen_offsets", &[self.seen.offsets.len()], &self.seen.offsets),
            Tensor::new("seen_items", &[self.seen.columns.len()], &self.seen.columns),
        ];
        if let Some(names) = &self.item_names {
            let (bytes, offsets) = names.parts();
            tensors.extend([
                Tensor::new("item_names", &[bytes.len()], bytes),
                Tensor::new("item_name_offsets", &[offsets.len()], offsets),
            ]);
        }
        if let Some(posterior) = &self.posterior {
            tensors.extend([
                Tensor::new("user_variances", &[m, k], &posterior.user_variances),
                Tensor::new("item_variances", &[n, k], &posterior.item_variances),
                Tensor::new("user_bias_variances", &[m], &posterior.user_bias_variances),
                Tensor::new("item_bias_variances", &[n], &posterior.item_bias_variances),
                Tensor::new("user_noise", &[m], &posterior.user_noise),
                Tensor::new("user_prior", &[k], &posterior.user_prior),
                Tensor::new("item_prior", &[k], &posterior.item_prior),
            ]);
            if let Some(mask) = &posterior.mask {
                tensors.extend([
                    Tensor::new("user_mask_factors", &[n, k], &mask.user_mask_factors),
                    Tensor::new("item_mask_factors", &[m, k], &mask.item_mask_factors),
                ]);
            }
        }
        if let Some(baseline) = &self.baseline {
            tensors.extend([
                Tensor::new(BASELINE[0], &[m], &baseline.user_bias),
                Tensor::new(BASELINE[1], &[n], &baseline.item_bias),
            ]);
        }
        tensors::write_checked(out, serde_json::to_string(&document)?, &tensors)
    }

    /// Reads a model file. Nothing in it is trusted: sizes are compared with the file's length
    /// before anything is allocated, the checksum with every byte, and the whole model passes
    /// [`Model::check`].
    ///
    /// # Errors
    /// [`Error::NoInput`] if the file can't be opened, [`Error::Data`] if it is not a model or
    /// damaged, or if a newer version wrote it; [`Error::Io`] if reading fails,
    /// [`Error::OutOfMemory`] if it does not fit into memory.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        Self::read(path, TensorFile::open(path)?)
    }

    /// As [`Model::load`], from the bytes of a model file; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Model::load`], but for those of opening and reading.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Model> {
        let name = name.as_ref();
        Self::read(name, TensorFile::from_bytes(name, bytes)?)
    }

    fn read(path: &Path, mut file: TensorFile<'_>) -> Result<Model> {
        let document = read_document(path, &file)?;
        let k = Some(document.rank);
        let users = read_ids(&mut file, "user_ids", "user_id_offsets")?;
        let items = read_ids(&mut file, "item_ids", "item_id_offsets")?;
        let (m, n) = (Some(users.len()), Some(items.len()));
        let model = Model {
            kind: document.kind,
            rank: document.rank,
            user_factors: file.read("user_factors", &[m, k])?,
            item_factors: file.read("item_factors", &[n, k])?,
            user_bias: file.read("user_bias", &[m])?,
            item_bias: file.read("item_bias", &[n])?,
            mean: read_scalar(&mut file, "mean")?,
            scale: read_scalar(&mut file, "scale")?,
            clip: document.clip,
            seen: Compressed {
                offsets: file.read("seen_offsets", &[m.map(|m| m + 1)])?,
                columns: file.read("seen_items", &[None])?,
            },
            posterior: match &document.posterior {
                Some(scalars) => Some(read_posterior(&mut file, scalars, [m, n, k])?),
                None => None,
            },
            item_names: match file.has("item_names") {
                true => Some(read_ids(&mut file, "item_names", "item_name_offsets")?),
                false => None,
            },
            baseline: if BASELINE.iter().any(|name| file.has(name)) {
                Some(BaselineBiases {
                    user_bias: file.read(BASELINE[0], &[m])?,
                    item_bias: file.read(BASELINE[1], &[n])?,
                })
            } else {
                None
            },
            metadata: document.metadata,
            users,
            items,
        };
        model.check().map_err(|what| file.bad(what))?;
        Ok(model)
    }
}

fn read_document(path: &Path, file: &TensorFile<'_>) -> Result<Document<Metadata>> {
    let text = file.document().ok_or_else(|| file.bad("is a safetensors file, but not a model of deltav"))?;
    let unreadable =
        |e: serde_json::Error| file.bad(format!("has metadata that can't be read: {}", one_line(&e)));
    let Format { format, checkpoint } = serde_json::from_str(text).map_err(unreadable)?;
    if format.is_none() && checkpoint.is_some() {
        let what = "is a checkpoint of a training, not a model";
        return Err(Error::data(path, what, "`deltav train` as before, with --resume, writes the model"));
    }
    let format = format.ok_or_else(|| file.bad("has no format number"))?;
    if format > FORMAT {
        let what = format!("has format {format}, and this version reads up to {FORMAT}");
        return Err(Error::data(path, what, "update deltav"));
    }
    if format == 0 {
        return Err(file.bad("has format 0, which does not exist"));
    }
    if format >= FIRST_WITH_CHECKSUM {
        file.require_checksum()?;
    }
    serde_json::from_str(text).map_err(unreadable)
}

fn read_posterior(
    file: &mut TensorFile<'_>,
    scalars: &PosteriorScalars,
    [m, n, k]: [Option<usize>; 3],
) -> Result<Posterior> {
    let mask = if scalars.mask {
        Some(MaskFactors {
            user_mask_factors: file.read("user_mask_factors", &[n, k])?,
            item_mask_factors: file.read("item_mask_factors", &[m, k])?,
        })
    } else {
        None
    };
    Ok(Posterior {
        noise: scalars.noise,
        calibration: scalars.calibration,
        user_variances: file.read("user_variances", &[m, k])?,
        item_variances: file.read("item_variances", &[n, k])?,
        user_bias_variances: file.read("user_bias_variances", &[m])?,
        item_bias_variances: file.read("item_bias_variances", &[n])?,
        user_noise: file.read("user_noise", &[m])?,
        user_prior: file.read("user_prior", &[k])?,
        item_prior: file.read("item_prior", &[k])?,
        user_bias_prior: scalars.user_bias_prior,
        item_bias_prior: scalars.item_bias_prior,
        mask,
    })
}

fn read_scalar(file: &mut TensorFile<'_>, name: &str) -> Result<f64> {
    // A tensor without dimensions has one number.
    let values = file.read(name, &[])?;
    values.first().copied().ok_or_else(|| file.bad(format!("tensor {name} is empty")))
}

fn read_ids(file: &mut TensorFile<'_>, ids: &str, offsets: &str) -> Result<Ids> {
    let bytes = file.read(ids, &[None])?;
    let parsed = Ids::from_parts(bytes, file.read(offsets, &[None])?);
    parsed.ok_or_else(|| file.bad(format!("has {offsets} that do not divide {ids}")))
}

#[cfg(test)]
mod tests;
