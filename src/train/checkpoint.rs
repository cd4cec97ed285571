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
use std::io;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use serde::{Deserialize, Serialize};

use super::Team;
use crate::backend::{Backend, Buffer, read_f32};
use crate::data::Side;
use crate::data::text::one_line;
use crate::error::{Error, Result};
use crate::event::{Epoch, Reached, Stopped};
use crate::model::CurvePoint;
use crate::model::tensors::{self, Element, MAX_HEADER_VALUES, Plan, Sink, TensorFile};
use crate::optim::State;
use crate::output::Claim;
use crate::world::World;
use crate::world::together::of_first;

/// The number of the format that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// What a checkpoint says, beside its numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    /// The format's number.
    pub(super) checkpoint: u32,
    /// What must be the same to go on: see [`super::sameness`].
    pub(super) settings: BTreeMap<String, String>,
    /// The device that trained.
    pub(super) device: String,
    /// Bytes of its largest buffer, which says how the data were cut.
    #[serde(default)]
    pub(super) buffer_bytes: Option<u64>,
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
    pub(super) curve: Vec<CurvePoint>,
    /// How the members of an average ended that are done.
    pub(super) ends: Vec<Stopped>,
}

/// The state of a run after some epoch, read from its file.
///
/// Its tensors are read when training goes on from it, each compared in size with what
/// the run expects before memory is allocated.
pub struct Checkpoint {
    path: PathBuf,
    /// `None` where another process has it.
    file: Option<TensorFile<'static>>,
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
        // It is text in the header, where nothing has counted it yet.
        if tensors::values(text.as_bytes()) > MAX_HEADER_VALUES {
            return Err(file.bad("says more than any checkpoint"));
        }
        match serde_json::from_str::<Format>(text).map_err(unreadable)?.checkpoint {
            Some(FORMAT) => file.require_checksum()?,
            Some(other) => {
                let what = format!("is a checkpoint of format {other}, and this version reads {FORMAT}");
                return Err(Error::data(path, what, "go on with the version that wrote it"));
            }
            None => return Err(Error::data(path, "is a model, not a checkpoint", "pass it as --init-model")),
        }
        let document: Document = serde_json::from_str(text).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), file: Some(file), document })
    }

    /// What the first process goes on from, as all processes know of it.
    pub(super) fn heard(own: Option<Self>, team: &Team<'_>) -> Result<Option<Self>> {
        let none = |e: serde_json::Error| Error::Internal(format!("a checkpoint can't be told: {e}"));
        let told = own.as_ref().map(|own| (&own.path, &own.document));
        let mut text = serde_json::to_vec(&told).map_err(none)?;
        let len = of_first(team.world, text.len() as u64)? as usize;
        text.resize(len, 0);
        team.world.broadcast(0, &mut text)?;
        if team.leads() {
            return Ok(own);
        }
        let told: Option<(PathBuf, Document)> = serde_json::from_slice(&text).map_err(none)?;
        Ok(told.map(|(path, document)| Self { path, file: None, document }))
    }

    /// Gives all processes what the first has read.
    fn told<T: Pod>(world: &dyn World, mut values: Vec<T>) -> Result<Vec<T>> {
        let len = of_first(world, values.len() as u64)? as usize;
        values.resize(len, T::zeroed());
        world.broadcast(0, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last epoch that ran, of the model that was being trained.
    pub fn epoch(&self) -> u32 {
        self.document.epoch
    }

    /// How far the run had come.
    pub fn reached(&self) -> Reached {
        let Document { epoch, ends, settings, .. } = &self.document;
        let alone = settings.get("--average").is_none_or(|members| members == "1");
        Reached { member: (!alone).then_some(ends.len() as u32 + 1), epoch: *epoch }
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    /// Reads a tensor of `len` finite numbers.
    pub(super) fn read(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let values: Vec<f32> = file.read(name, &[Some(len)])?;
        if let Some((at, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(self.bad(format!("tensor {name} holds {value} at position {at}")));
        }
        Ok(values)
    }

    /// Reads the optimiser's numbers.
    pub(super) fn read_numbers(&mut self, name: &str, world: &dyn World) -> Result<Vec<f64>> {
        let read = self.file.as_mut().map(|file| file.read(name, &[None]));
        let numbers: Vec<f64> = read.transpose()?.unwrap_or_default();
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(self.bad(format!("tensor {name} holds NaN")));
        }
        Self::told(world, numbers)
    }

    /// Fills buffers with a tensor.
    pub(super) fn fill(
        &mut self,
        prefix: &str,
        named: &State,
        team: Option<&Team<'_>>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let len = named.buffers.iter().map(Buffer::len).sum();
        let name = format!("{prefix}{}", named.name);
        let values = match team {
            Some(team) if named.side == Some(Side::Users) => {
                let rows = team.share.own().len() + 1;
                let all = self.read(&name, len / rows * (team.share.users + 1))?;
                team.part(team.leads().then_some(&all), len)?
            }
            _ => Self::told(backend.world(), self.read(&name, len)?)?,
        };
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
        match &self.file {
            Some(file) => file.bad(what),
            None => Error::data(&self.path, what, "go on from another checkpoint"),
        }
    }
}

/// Where a tensor's numbers are until they are written.
#[derive(Debug)]
enum Source<'a> {
    Device(&'a [Buffer]),
    Host(&'a [f32]),
    Numbers(&'a [f64]),
}

/// What goes into a checkpoint, by name. Its numbers are fetched from the device one buffer
/// after the other: saving takes no memory beside the largest one.
#[derive(Debug, Default)]
pub(super) struct Tensors<'a>(Vec<(String, Source<'a>)>);

impl<'a> Tensors<'a> {
    /// Buffers of the device, under a prefix and their own name.
    pub(super) fn device(&mut self, prefix: &str, named: &'a [State]) {
        for State { name, buffers, .. } in named {
            self.0.push((format!("{prefix}{name}"), Source::Device(buffers)));
        }
    }

    /// Numbers of a model.
    pub(super) fn host(&mut self, name: String, values: &'a [f32]) {
        self.0.push((name, Source::Host(values)));
    }

    /// An optimiser's numbers.
    pub(super) fn numbers(&mut self, name: &str, numbers: &'a [f64]) {
        self.0.push((name.to_owned(), Source::Numbers(numbers)));
    }

    fn plans(&self) -> Vec<Plan> {
        let plan = |(name, source): &(String, Source<'_>)| match source {
            Source::Device(buffers) => {
                Plan::new::<f32>(name.clone(), &[buffers.iter().map(Buffer::len).sum()])
            }
            Source::Host(values) => Plan::new::<f32>(name.clone(), &[values.len()]),
            Source::Numbers(numbers) => Plan::new::<f64>(name.clone(), &[numbers.len()]),
        };
        self.0.iter().map(plan).collect()
    }

    /// Writes a checkpoint and returns its bytes; `None`, and no file, if a number is not finite:
    /// NaN is never saved.
    pub(super) fn save(
        &self,
        document: &Document,
        backend: &mut dyn Backend,
        file: &mut Claim,
    ) -> Result<Option<u64>> {
        let text = serde_json::to_string(document)
            .map_err(|e| Error::Internal(format!("a checkpoint can't be written: {e}")))?;
        // What a writer can't say of a device, and whether it was no failure at all.
        let mut failed = None;
        let written = file.write(|out| {
            tensors::write_checked_from(out, text, self.plans(), |name, sink| {
                for (_, source) in self.0.iter().filter(|(own, _)| own == name) {
                    match source {
                        Source::Device(buffers) => {
                            for &buffer in *buffers {
                                let values = read_f32(backend, buffer).map_err(|error| {
                                    failed = Some(Failed::Device(error));
                                    io::Error::other("the device")
                                })?;
                                pour(&values, f32::is_finite, &mut failed, sink)?;
                            }
                        }
                        Source::Host(values) => pour(values, f32::is_finite, &mut failed, sink)?,
                        Source::Numbers(numbers) => {
                            pour(numbers, |number| !number.is_nan(), &mut failed, sink)?;
                        }
                    }
                }
                Ok(())
            })
        });
        match failed {
            Some(Failed::Device(error)) => Err(error),
            Some(Failed::Unsound) => Ok(None),
            None => written.map(Some),
        }
    }
}

/// Why a checkpoint was not written, where the file is not to blame.
enum Failed {
    Device(Error),
    Unsound,
}

fn pour<T: Element>(
    values: &[T],
    sound: impl Fn(T) -> bool,
    failed: &mut Option<Failed>,
    sink: &mut Sink<'_>,
) -> io::Result<()> {
    if values.iter().all(|&value| sound(value)) {
        return sink(&tensors::little_endian_bytes(values));
    }
    *failed = Some(Failed::Unsound);
    Err(io::Error::other("not a number"))
}
