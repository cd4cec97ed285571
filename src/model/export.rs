//! Models in formats that other programs read.

use std::io::{self, Write};

use super::Model;
use super::npz::Npz;
use crate::data::Ids;
use crate::error::{Error, Result};
use crate::output::Output;

/// A format that a model can be exported to.
#[derive(Debug)]
pub struct ExportFormat {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is and who reads it.
    pub summary: &'static str,
    /// Writes the model, commits the output and returns the file's size in bytes.
    pub write: fn(&Model, Output) -> Result<u64>,
}

/// Every export format. A new one is one entry here.
pub const EXPORTS: &[ExportFormat] = &[ExportFormat {
    name: "npz",
    summary: "NumPy arrays in rating units, for numpy.load",
    write: export_npz,
}];

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
}

/// Writes a model as NumPy's `.npz`; `numpy.load` needs no pickle for it.
///
/// | array | type | shape |
/// |---|---|---|
/// | `user_factors`, `item_factors` | f32 | `[m, k]`, `[n, k]` |
/// | `user_bias`, `item_bias` | f32 | `[m]`, `[n]` |
/// | `global_mean` | f64 | scalar |
/// | `user_ids`, `item_ids` | str, or bytes if one of them is not UTF-8 | `[m]`, `[n]` |
///
/// In rating units: `global_mean + user_bias[u] + item_bias[i] + user_factors[u] @ item_factors[i]`
/// is the prediction before clipping. The model's scale is in the biases and in the *user* factors;
/// the item factors are the model's own, bit for bit.
///
/// Rows of users and items without training ratings are zero, so that the formula holds for unknown
/// parts too. Plain is the exception: where something is unknown it predicts the mean training rating,
/// and the formula gives 0.
///
/// # Errors
/// [`Error::CantCreate`] if an id ends in a NUL, which NumPy would drop, or if a number in rating
/// units does not fit into f32; [`Error::Io`] if a write fails. Nothing is replaced then.
fn export_npz(model: &Model, mut output: Output) -> Result<u64> {
    let path = output.path().to_owned();
    let refused = |what: String| Error::CantCreate {
        path: path.clone(),
        what,
        remedy: "read the model file itself, which is safetensors".to_owned(),
    };
    model.check().map_err(refused)?;
    let user_ids = IdArray::of(&model.users).map_err(refused)?;
    let item_ids = IdArray::of(&model.items).map_err(refused)?;
    let largest = model.user_factors.iter().chain(&model.user_bias).chain(&model.item_bias);
    let largest = largest.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if !((f64::from(largest) * model.scale) as f32).is_finite() {
        return Err(refused(format!("{largest} times the scale {} does not fit into f32", model.scale)));
    }
    write_npz(model, &user_ids, &item_ids, &mut output).map_err(|source| output.io_error(source))?;
    output.commit()
}

fn write_npz(
    model: &Model,
    user_ids: &IdArray<'_>,
    item_ids: &IdArray<'_>,
    out: impl Write,
) -> io::Result<()> {
    let (m, n, k, scale) = (model.users.len(), model.items.len(), model.rank, model.scale);
    let predictor = model.predictor();
    let users: Vec<bool> = (0..m as u32).map(|user| predictor.knows_user(user)).collect();
    let items: Vec<bool> = (0..n as u32).map(|item| predictor.knows_item(item)).collect();
    let mut npz = Npz::new(out);
    npz.array("user_factors", "<f4", &[m, k], |out| write_rows(out, &model.user_factors, &users, scale))?;
    npz.array("item_factors", "<f4", &[n, k], |out| write_rows(out, &model.item_factors, &items, 1.0))?;
    npz.array("user_bias", "<f4", &[m], |out| write_rows(out, &model.user_bias, &users, scale))?;
    npz.array("item_bias", "<f4", &[n], |out| write_rows(out, &model.item_bias, &items, scale))?;
    npz.array("global_mean", "<f8", &[], |out| out.write_all(&model.mean.to_le_bytes()))?;
    npz.array("user_ids", &user_ids.descr(), &[m], |out| user_ids.write(out))?;
    npz.array("item_ids", &item_ids.descr(), &[n], |out| item_ids.write(out))?;
    npz.finish()?;
    Ok(())
}

/// The numbers times `scale`, a row for each of `known`; zeros where it is not.
fn write_rows(out: &mut dyn Write, values: &[f32], known: &[bool], scale: f64) -> io::Result<()> {
    if known.is_empty() {
        return Ok(());
    }
    let width = values.len() / known.len();
    let mut bytes = Vec::with_capacity(4 * width);
    for (row, known) in values.chunks_exact(width).zip(known) {
        bytes.clear();
        for &value in row {
            // Not times 0, which would keep signs.
            let value = if *known { (f64::from(value) * scale) as f32 } else { 0.0 };
            bytes.extend(value.to_le_bytes());
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Ids as NumPy's strings of fixed width: `<U` counts code points of four bytes, `|S` bytes.
struct IdArray<'a> {
    ids: &'a Ids,
    unicode: bool,
    width: usize,
}

impl<'a> IdArray<'a> {
    fn of(ids: &'a Ids) -> Result<Self, String> {
        if let Some(id) = ids.iter().find(|id| id.ends_with(&[0])) {
            let id = String::from_utf8_lossy(id).escape_debug().to_string();
            return Err(format!("npz can't hold the id '{id}': NumPy drops a NUL at the end"));
        }
        let unicode = ids.iter().all(|id| std::str::from_utf8(id).is_ok());
        let length = |id: &[u8]| if unicode { String::from_utf8_lossy(id).chars().count() } else { id.len() };
        // NumPy has no strings of width 0 in files.
        let width = ids.iter().map(length).max().unwrap_or(0).max(1);
        Ok(Self { ids, unicode, width })
    }

    fn descr(&self) -> String {
        format!("{}{}", if self.unicode { "<U" } else { "|S" }, self.width)
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        for id in self.ids.iter() {
            bytes.clear();
            if self.unicode {
                bytes.extend(String::from_utf8_lossy(id).chars().flat_map(|c| u32::from(c).to_le_bytes()));
                bytes.resize(4 * self.width, 0);
            } else {
                bytes.extend(id);
                bytes.resize(self.width, 0);
            }
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
