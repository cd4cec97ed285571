//! Models in formats that other programs read. To add one: a file here and a
//! line in [`EXPORTS`].

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

mod npy;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;
mod safetensors;
mod table;
mod word2vec;

use std::io::Write;

use super::{Model, Side};
use crate::error::{Error, Result};
use crate::output::Output;
use table::Table;

/// A format that a model can be exported to.
#[derive(Debug)]
pub struct ExportFormat {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is and who reads it.
    pub summary: &'static str,
    content: Content,
}

/// What a file of a format holds. Each function checks all that could be refused before it writes.
#[derive(Debug)]
enum Content {
    /// Users and items.
    Both(fn(&Model, [&Table<'_>; 2], &mut (dyn Write + Send)) -> Written),
    /// One of them.
    One(fn(&Table<'_>, &mut (dyn Write + Send)) -> Written),
}

/// What came of writing a file.
type Written = std::result::Result<(), Failure>;

/// Why a model can't be written in a format.
#[derive(Debug)]
enum Failure {
    /// The format can't hold it: what, and what to do.
    Refused(String, &'static str),
    /// A write failed.
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Io(error)
    }
}

/// Every export format. A new one is one entry here.
///
/// All of them hold numbers in rating units: with a user's row and an item's,
/// `global_mean + user_bias + item_bias + user_factors·item_factors` is the
/// prediction before clipping. The model's scale is in the biases and in the
/// *user* factors; the item factors are the model's own, bit for bit. Rows of
/// users and items without training ratings are zero, or left out where a file
/// is a list of rows, so that the formula holds for unknown parts too. (Plain is
/// the exception: where something is unknown it predicts the mean training
/// rating, and the formula gives 0.)
pub const EXPORTS: &[ExportFormat] = &[
    ExportFormat {
        name: "npz",
        summary: "arrays of users and items, for numpy.load",
        content: Content::Both(npz::write),
    },
    ExportFormat {
        name: "npy",
        summary: "a structured array of one side: id, name, bias, factors, for numpy.load",
        content: Content::One(npy::write),
    },
    ExportFormat {
        name: "safetensors",
        summary: "tensors of users and items, for safetensors.numpy, .torch and others",
        content: Content::Both(safetensors::write),
    },
    ExportFormat {
        name: "word2vec",
        summary: "text, an id and its factors a line, for gensim and vector databases",
        content: Content::One(word2vec::write),
    },
    #[cfg(feature = "parquet")]
    ExportFormat {
        name: "parquet",
        summary: "a table of one side: id, name, ratings, bias, factors",
        content: Content::One(parquet::write),
    },
];

impl ExportFormat {
    /// The format of that name.
    ///
    /// # Errors
    /// [`Error::Usage`] that lists the names.
    pub fn find(name: &str) -> Result<&'static ExportFormat> {
        EXPORTS.iter().find(|format| format.name == name).ok_or_else(|| {
            let names: Vec<_> = EXPORTS.iter().map(|format| format.name).collect();
            Error::usage(format!("there is no export format '{name}'"), format!("pass {}", names.join(", ")))
        })
    }

    /// Whether a file holds users or items, not both.
    pub fn one_sided(&self) -> bool {
        matches!(self.content, Content::One(_))
    }

    /// Writes the model, commits the output and returns the file's size in bytes.
    ///
    /// `side`: which one a file of one side holds, by default the items; must be `None` for the others.
    ///
    /// # Errors
    /// [`Error::Usage`] if `side` is given where a file holds both; [`Error::CantCreate`] if the
    /// format can't hold an id, or a number in rating units does not fit into f32; [`Error::Io`] if a
    /// write fails. Nothing is replaced then.
    pub fn write(&self, model: &Model, side: Option<Side>, mut output: Output) -> Result<u64> {
        if side.is_some() && !self.one_sided() {
            return Err(Error::usage(
                format!("a file of format {} holds users and items", self.name),
                "leave --side out",
            ));
        }
        match self.write_checked(model, side, &mut output) {
            Ok(()) => output.commit(),
            Err(Failure::Io(source)) => Err(output.io_error(source)),
            Err(Failure::Refused(what, remedy)) => {
                Err(Error::CantCreate { path: output.path().to_owned(), what, remedy: remedy.to_owned() })
            }
        }
    }

    fn write_checked(&self, model: &Model, side: Option<Side>, out: &mut Output) -> Written {
        model.check().map_err(|what| Failure::Refused(what, "train it again"))?;
        let known = model.known();
        let table = |side| Table::new(model, &known, side);
        match self.content {
            Content::Both(write) => write(model, [&table(Side::Users)?, &table(Side::Items)?], out),
            Content::One(write) => write(&table(side.unwrap_or(Side::Items))?, out),
        }
    }
}

#[cfg(test)]
mod tests;
