//! Parquet tables, written row by row: rows gather in a buffer of bounded size
//! and go out as a row group.
//!
//! Format: <https://parquet.apache.org/docs/file-format/>

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Buffered bytes, roughly, that make a row group.
const GROUP_BYTES: usize = 32 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8; may be missing.
    Text,
    /// Any bytes; may be missing.
    Bytes,
    /// Whole numbers of 64 bits.
    Count,
    /// Numbers of 32 bits.
    Float,
    /// Numbers of 32 bits; may be missing.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the program's lists may lack a number"))]
    Number,
    /// A list of numbers of 32 bits, never empty.
    Floats,
}

/// A column's name and what it holds.
pub(crate) type Column<'a> = (&'a str, Kind);

/// One cell, of the kind of its column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// For [`Kind::Text`] and [`Kind::Bytes`]; `None` is null.
    Bytes(Option<&'a [u8]>),
    /// For [`Kind::Count`].
    Count(i64),
    /// For [`Kind::Float`].
    Float(f32),
    /// For [`Kind::Number`]; `None` is null.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the program's lists may lack a number"))]
    Number(Option<f32>),
    /// For [`Kind::Floats`].
    Floats(&'a [f32]),
}

/// The cells of a column that are not yet written.
enum Buffer {
    Bytes { values: Vec<ByteArray>, present: Vec<i16> },
    Counts(Vec<i64>),
    Floats(Vec<f32>),
    Numbers { values: Vec<f32>, present: Vec<i16> },
    Lists { values: Vec<f32>, repeated: Vec<i16> },
}

/// A table that is being written.
pub(crate) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    buffers: Vec<Buffer>,
    bytes: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A table of these columns; their names are words.
    pub(crate) fn new(out: W, columns: &[Column<'_>]) -> io::Result<Self> {
        let fields: String = columns.iter().map(|&(name, kind)| field(name, kind)).collect();
        let schema = parse_message_type(&format!("message deltav {{ {fields} }}")).map_err(io_error)?;
        // What every reader unpacks.
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file =
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(io_error)?;
        Ok(Self { file, buffers: columns.iter().map(|&(_, kind)| Buffer::of(kind)).collect(), bytes: 0 })
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        if cells.len() != self.buffers.len() {
            return Err(io::Error::other("a row without a cell for each column"));
        }
        for (buffer, &cell) in self.buffers.iter_mut().zip(cells) {
            self.bytes += buffer.push(cell)?;
        }
        if self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and the footer.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.into_inner().map_err(io_error)?.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(io_error)?;
        for buffer in &mut self.buffers {
            let Some(mut column) = group.next_column().map_err(io_error)? else {
                return Err(io::Error::other("more columns than the schema has"));
            };
            match (&*buffer, column.untyped()) {
                (Buffer::Bytes { values, present }, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                    write::<ByteArrayType>(writer, values, Some(present), None)?;
                }
                (Buffer::Counts(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                    write::<Int64Type>(writer, values, None, None)?;
                }
                (Buffer::Floats(values), ColumnWriter::FloatColumnWriter(writer)) => {
                    write::<FloatType>(writer, values, None, None)?;
                }
                (Buffer::Numbers { values, present }, ColumnWriter::FloatColumnWriter(writer)) => {
                    write::<FloatType>(writer, values, Some(present), None)?;
                }
                (Buffer::Lists { values, repeated }, ColumnWriter::FloatColumnWriter(writer)) => {
                    // No list is empty, so that every element is defined.
                    let defined = vec![1; values.len()];
                    write::<FloatType>(writer, values, Some(&defined), Some(repeated))?;
                }
                _ => return Err(io::Error::other("a column of another type than the schema's")),
            }
            column.close().map_err(io_error)?;
            buffer.clear();
        }
        group.close().map_err(io_error)?;
        self.bytes = 0;
        Ok(())
    }
}

fn field(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Text => format!("OPTIONAL BYTE_ARRAY {name} (STRING); "),
        Kind::Bytes => format!("OPTIONAL BYTE_ARRAY {name}; "),
        Kind::Count => format!("REQUIRED INT64 {name}; "),
        Kind::Float => format!("REQUIRED FLOAT {name}; "),
        Kind::Number => format!("OPTIONAL FLOAT {name}; "),
        Kind::Floats => {
            format!("REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED FLOAT element; }} }} ")
        }
    }
}

fn write<T: parquet::data_type::DataType>(
    writer: &mut parquet::column::writer::ColumnWriterImpl<'_, T>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) -> io::Result<()> {
    writer.write_batch(values, defined, repeated).map(|_| ()).map_err(io_error)
}

impl Buffer {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Bytes => Buffer::Bytes { values: Vec::new(), present: Vec::new() },
            Kind::Count => Buffer::Counts(Vec::new()),
            Kind::Float => Buffer::Floats(Vec::new()),
            Kind::Number => Buffer::Numbers { values: Vec::new(), present: Vec::new() },
            Kind::Floats => Buffer::Lists { values: Vec::new(), repeated: Vec::new() },
        }
    }

    /// Adds a cell and returns its size in memory, roughly.
    fn push(&mut self, cell: Cell<'_>) -> io::Result<usize> {
        match (self, cell) {
            (Buffer::Bytes { values, present }, Cell::Bytes(bytes)) => {
                present.push(i16::from(bytes.is_some()));
                values.extend(bytes.map(|bytes| ByteArray::from(bytes.to_vec())));
                // Two words and a reference count beside the bytes.
                Ok(64 + bytes.map_or(0, <[u8]>::len))
            }
            (Buffer::Counts(values), Cell::Count(value)) => {
                values.push(value);
                Ok(8)
            }
            (Buffer::Floats(values), Cell::Float(value)) => {
                values.push(value);
                Ok(4)
            }
            (Buffer::Numbers { values, present }, Cell::Number(value)) => {
                present.push(i16::from(value.is_some()));
                values.extend(value);
                Ok(6)
            }
            (Buffer::Lists { values, repeated }, Cell::Floats(list)) if !list.is_empty() => {
                repeated.push(0);
                repeated.resize(repeated.len() + list.len() - 1, 1);
                values.extend_from_slice(list);
                Ok(8 * list.len())
            }
            _ => Err(io::Error::other("a cell of another kind than its column")),
        }
    }

    fn clear(&mut self) {
        match self {
            Buffer::Bytes { values, present } => {
                values.clear();
                present.clear();
            }
            Buffer::Counts(values) => values.clear(),
            Buffer::Floats(values) => values.clear(),
            Buffer::Numbers { values, present } => {
                values.clear();
                present.clear();
            }
            Buffer::Lists { values, repeated } => {
                values.clear();
                repeated.clear();
            }
        }
    }
}

/// The system's error with its kind, by which a full disk is known.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let columns = [
            ("id", Kind::Text),
            ("raw", Kind::Bytes),
            ("n", Kind::Count),
            ("x", Kind::Float),
            ("y", Kind::Number),
            ("v", Kind::Floats),
        ];
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ParquetWriter::new(&mut file, &columns).unwrap();
        // Long ids, so that there are several row groups.
        let rows = 3_000;
        let id = |row: usize| format!("{row:0>20000}");
        for row in 0..rows {
            let (id, raw) = (id(row), (row % 3 > 0).then_some(&b"\xff\0"[..]));
            let cells = [
                Cell::Bytes(Some(id.as_bytes())),
                Cell::Bytes(raw),
                Cell::Count(row as i64 - 7),
                Cell::Float(row as f32 / 3.0),
                Cell::Number((row % 5 > 0).then_some(2.5)),
                Cell::Floats(&[[0.5, -1.5, 0.25], [row as f32; 3]][row % 2][..1 + row % 3]),
            ];
            writer.row(&cells).unwrap();
        }
        writer.finish().unwrap();

        let reader = SerializedFileReader::new(file).unwrap();
        assert!(reader.num_row_groups() > 1, "{}", reader.num_row_groups());
        let mut read = 0;
        for (at, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            assert_eq!(row.get_string(0).unwrap(), &id(at));
            assert_eq!(row.get_bytes(1).ok().map(ByteArray::data), (at % 3 > 0).then_some(&b"\xff\0"[..]));
            assert_eq!(
                (row.get_long(2).unwrap(), row.get_float(3).unwrap()),
                (at as i64 - 7, at as f32 / 3.0)
            );
            assert_eq!(row.get_float(4).ok(), (at % 5 > 0).then_some(2.5));
            assert_eq!(row.get_list(5).unwrap().len(), 1 + at % 3);
            read += 1;
        }
        assert_eq!(read, rows);
    }

    #[test]
    fn a_table_without_rows_is_a_file() {
        let mut file = tempfile::tempfile().unwrap();
        ParquetWriter::new(&mut file, &[("id", Kind::Text)]).unwrap().finish().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn a_cell_that_does_not_fit_is_an_error() {
        let mut writer = ParquetWriter::new(io::sink(), &[("n", Kind::Count)]).unwrap();
        assert!(writer.row(&[Cell::Float(1.0)]).is_err());
        assert!(writer.row(&[]).is_err());
    }

    #[test]
    fn a_full_disk_is_known_by_its_kind() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = ParquetWriter::new(Full, &[("n", Kind::Count)]).and_then(|mut writer| {
            writer.row(&[Cell::Count(1)])?;
            writer.finish()
        });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
