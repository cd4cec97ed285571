//! A run's state in a file, in the form of a model's file: safetensors.
//!
//! | tensor | type | what |
//! |---|---|---|
//! | `user_factors`, `item_factors` | F32 | as the device has them, with constant columns and the unknown's row |
//! | others, by the optimiser's names | F32 | its state, shard after shard |
//! | `numbers` | F64 | its numbers on the host |
//! | `kept_…` | as above | the same of the best epoch, but only what its result needs |
//! | `member_I_…` | F32 | factors and biases of the members of an average that are done |
//!
//! The document has the epoch, its errors and whatever must be the same to go on. There is no
//! random number generator to save: what is drawn follows from the seed and the epoch's number.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Buffer};
use crate::data::text::one_line;
use crate::error::{Error, Result};
use crate::event::{Epoch, Stopped};
use crate::model::tensors::{self, Element, Tensor, TensorFile};
use crate::output::Claim;

use super::keep::Named;

/// The number of the format that this version writes and reads.
const FORMAT: u32 = 1;

/// What a checkpoint says, beside its numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    /// The format's number.
    pub(super) checkpoint: u32,
    /// What must be the same to go on: see [`super::sameness`].
    pub(super) settings: BTreeMap<String, String>,
    /// The device that trained.
    pub(super) device: String,
    /// Epochs that ran, of the member that is being trained.
    pub(super) epoch: u32,
    /// Seconds of training, of that member.
    pub(super) seconds: f64,
    /// The last epoch that was measured.
    pub(super) last: Epoch,
    /// The best epoch.
    pub(super) best: Option<Epoch>,
    /// Whether its result is in the file.
    pub(super) kept: bool,
    /// RMSE by epoch.
    pub(super) curve: Vec<(u32, Option<f64>, Option<f64>)>,
    /// How the members of an average ended that are done.
    pub(super) ends: Vec<Stopped>,
}

impl Document {
    /// A document of this version's format with what does not change over a run.
    pub(super) fn new(settings: BTreeMap<String, String>, device: String, last: Epoch) -> Self {
        Self {
            checkpoint: FORMAT,
            settings,
            device,
            epoch: 0,
            seconds: 0.0,
            last,
            best: None,
            kept: false,
            curve: Vec::new(),
            ends: Vec::new(),
        }
    }
}

/// The state of a run after some epoch, read from its file.
///
/// Its tensors are read when training goes on from it, each compared in size with what
/// the run expects before memory is allocated.
pub struct Checkpoint {
    path: PathBuf,
    file: TensorFile<'static>,
    document: Document,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("path", &self.path).field("document", &self.document).finish()
    }
}

impl Checkpoint {
    /// Opens a checkpoint.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the file can't be opened, [`Error::Data`] if it is none or is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::new(path, TensorFile::open(path)?)
    }

    /// As [`Checkpoint::load`], from the bytes of a file; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::load`], but for those of opening and reading.
    pub fn from_bytes(name: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.as_ref();
        Self::new(name, TensorFile::from_owned(name, bytes)?)
    }

    fn new(path: &Path, file: TensorFile<'static>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            checkpoint: Option<u32>,
        }
        let none = || file.bad("is no checkpoint of deltav");
        let text = file.document().ok_or_else(none)?;
        let unreadable =
            |e: serde_json::Error| file.bad(format!("says what can't be read: {}", one_line(&e)));
        match serde_json::from_str::<Format>(text).map_err(unreadable)?.checkpoint {
            Some(FORMAT) => file.require_checksum()?,
            Some(other) => {
                let what = format!("is a checkpoint of format {other}, and this version reads {FORMAT}");
                return Err(Error::data(path, what, "go on with the version that wrote it"));
            }
            None => return Err(Error::data(path, "is a model, not a checkpoint", "pass it as --init-model")),
        }
        let document: Document = serde_json::from_str(text).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), file, document })
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last epoch that ran, of the model that was being trained.
    pub fn epoch(&self) -> u32 {
        self.document.epoch
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    /// Reads a tensor of `len` finite numbers.
    pub(super) fn read(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let values: Vec<f32> = self.file.read(name, &[Some(len)])?;
        if let Some((at, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(self.file.bad(format!("tensor {name} holds {value} at position {at}")));
        }
        Ok(values)
    }

    /// Reads the optimiser's numbers.
    pub(super) fn read_numbers(&mut self, name: &str) -> Result<Vec<f64>> {
        let numbers: Vec<f64> = self.file.read(name, &[None])?;
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(self.file.bad(format!("tensor {name} holds NaN")));
        }
        Ok(numbers)
    }

    /// Fills buffers with a tensor.
    pub(super) fn fill(&mut self, prefix: &str, named: &Named, backend: &mut dyn Backend) -> Result<()> {
        let len = named.buffers.iter().map(Buffer::len).sum();
        let values = self.read(&format!("{prefix}{}", named.name), len)?;
        let mut rest = &values[..];
        for &buffer in &named.buffers {
            let (own, others) = rest.split_at(buffer.len());
            backend.write(buffer, bytemuck::cast_slice(own))?;
            rest = others;
        }
        Ok(())
    }

    /// [`Error::Data`] about this file.
    pub(super) fn bad(&self, what: impl Into<String>) -> Error {
        self.file.bad(what)
    }
}

/// Tensors on their way into a file.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    singles: Vec<(String, Vec<f32>)>,
    doubles: Vec<(String, Vec<f64>)>,
}

impl Tensors {
    pub(super) fn push(&mut self, name: String, values: Vec<f32>) {
        self.singles.push((name, values));
    }

    pub(super) fn push_numbers(&mut self, name: &str, numbers: &[f64]) {
        self.doubles.push((name.to_owned(), numbers.to_vec()));
    }

    /// Reads buffers from the device.
    pub(super) fn read(&mut self, prefix: &str, named: &Named, backend: &mut dyn Backend) -> Result<()> {
        let values = crate::problem::read_shards(named.buffers.iter().copied(), backend)?;
        self.push(format!("{prefix}{}", named.name), values);
        Ok(())
    }

    /// Whether every number can be saved: none is NaN, and those of the device are finite.
    pub(super) fn are_sound(&self) -> bool {
        self.singles.iter().flat_map(|(_, values)| values).all(|value| value.is_finite())
            && self.doubles.iter().flat_map(|(_, values)| values).all(|value| !value.is_nan())
    }

    /// Writes a checkpoint and returns its bytes.
    pub(super) fn save(&self, document: &Document, file: &mut Claim) -> Result<u64> {
        fn all<T: Element>(named: &[(String, Vec<T>)]) -> impl Iterator<Item = Tensor<'_>> {
            named.iter().map(|(name, values)| Tensor::new(name.clone(), &[values.len()], values))
        }
        let text = serde_json::to_string(document)
            .map_err(|e| Error::Internal(format!("a checkpoint can't be written: {e}")))?;
        let tensors = all(&self.singles).chain(all(&self.doubles)).collect();
        file.write(|out| tensors::write_checked(out, text, tensors))
    }
}
