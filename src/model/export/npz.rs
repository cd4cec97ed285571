//! NumPy's `.npz`: a zip archive of `.npy` arrays, stored uncompressed as `np.savez` does.

use std::io::{self, Write};

use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};
use zip::{CompressionMethod, DateTime};

use super::super::Model;
use super::npy::{self, Strings};
use super::table::Table;
use super::{Failure, Written};

/// Writes both sides; `numpy.load` needs no pickle for it. The same model gives the same bytes.
///
/// | array | type | shape |
/// |---|---|---|
/// | `user_factors`, `item_factors` | f32 | `[m, k]`, `[n, k]` |
/// | `user_bias`, `item_bias` | f32 | `[m]`, `[n]` |
/// | `global_mean` | f64 | scalar |
/// | `user_ids`, `item_ids` | str, or bytes if one of them is not UTF-8 | `[m]`, `[n]` |
/// | `item_names`, if the model has them | str | `[n]` |
pub(super) fn write(model: &Model, [users, items]: [&Table<'_>; 2], out: &mut (dyn Write + Send)) -> Written {
    let (user_ids, item_ids) = (Strings::of(users.ids)?, Strings::of(items.ids)?);
    let item_names = items.names.map(Strings::of).transpose()?;
    let mut npz = Npz(ZipWriter::new_stream(out));
    npz.factors("user_factors", users)?;
    npz.factors("item_factors", items)?;
    npz.biases("user_bias", users)?;
    npz.biases("item_bias", items)?;
    npz.begin("global_mean", "<f8", &[])?.write_all(&model.mean.to_le_bytes())?;
    npz.strings("user_ids", &user_ids)?;
    npz.strings("item_ids", &item_ids)?;
    if let Some(item_names) = &item_names {
        npz.strings("item_names", item_names)?;
    }
    npz.0.finish().map_err(io_error)?.flush()?;
    Ok(())
}

/// An archive that is being written. Nothing seeks back.
struct Npz<'a>(ZipWriter<StreamWriter<&'a mut (dyn Write + Send)>>);

impl Npz<'_> {
    /// Begins a row-major array; what is written to the archive then are its elements.
    fn begin(&mut self, name: &str, dtype: &str, shape: &[usize]) -> Result<&mut dyn Write, Failure> {
        // Entries carry no clock, and sizes of 64 bits.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::DEFAULT)
            .large_file(true);
        self.0.start_file(format!("{name}.npy"), options).map_err(io_error)?;
        self.0.write_all(&npy::header(&format!("'{dtype}'"), shape))?;
        Ok(&mut self.0)
    }

    fn factors(&mut self, name: &str, table: &Table<'_>) -> Written {
        let out = self.begin(name, "<f4", &[table.len(), table.rank])?;
        let mut bytes = Vec::new();
        for row in 0..table.len() {
            bytes.clear();
            bytes.extend(table.factors(row).flat_map(f32::to_le_bytes));
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    fn strings(&mut self, name: &str, strings: &Strings<'_>) -> Written {
        Ok(strings.write(self.begin(name, &strings.descr(), &[strings.len()])?)?)
    }

    fn biases(&mut self, name: &str, table: &Table<'_>) -> Written {
        let bytes: Vec<u8> = (0..table.len()).flat_map(|row| table.bias(row).to_le_bytes()).collect();
        Ok(self.begin(name, "<f4", &[table.len()])?.write_all(&bytes)?)
    }
}

/// The system's error with its kind.
fn io_error(error: zip::result::ZipError) -> io::Error {
    match error {
        zip::result::ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}
