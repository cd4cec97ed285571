//! One column of a Parquet file, a batch of rows at a time, and what its cells mean.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::errors::Result;
use parquet::schema::types::ColumnDescriptor;

use super::super::npy::half;
use super::super::{Wrong, check_rating, parse_rating, parse_timestamp};
use crate::data::text::quoted;

/// What the values of a column mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Whole numbers, as they are.
    Signed,
    /// Whole numbers, of which all bits count.
    Unsigned,
    /// Whole numbers over this power of ten.
    Decimal(i32),
    /// Floating-point numbers.
    Float,
    /// The same in two bytes.
    Half,
    /// Bytes.
    Text,
    /// Whole numbers of which so many are a second.
    Time(i64),
    /// Days and nanoseconds, as Impala and Spark wrote them.
    OldTime,
    /// Days.
    Date,
    /// Nothing that a rating is made of.
    Other,
}

impl Kind {
    pub(super) fn of(column: &ColumnDescriptor) -> Self {
        use ConvertedType as C;
        match (column.physical_type(), column.converted_type(), column.logical_type_ref()) {
            (Type::FIXED_LEN_BYTE_ARRAY, _, Some(LogicalType::Float16)) if column.type_length() == 2 => {
                Kind::Half
            }
            (Type::BOOLEAN, ..) | (_, _, Some(LogicalType::Uuid | LogicalType::Time(_))) => Kind::Other,
            (Type::INT64, _, Some(LogicalType::Timestamp(time))) => Kind::Time(match time.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            }),
            (Type::INT64, C::TIMESTAMP_MILLIS, _) => Kind::Time(1_000),
            (Type::INT64, C::TIMESTAMP_MICROS, _) => Kind::Time(1_000_000),
            (Type::INT32, C::DATE, _) => Kind::Date,
            (Type::INT32 | Type::INT64, C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64, _) => {
                Kind::Unsigned
            }
            (Type::INT32 | Type::INT64, C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64, _) => {
                Kind::Signed
            }
            (Type::FLOAT | Type::DOUBLE, ..) => Kind::Float,
            (Type::INT96, ..) => Kind::OldTime,
            (_, C::DECIMAL, _) => Kind::Decimal(column.type_scale()),
            (Type::BYTE_ARRAY, C::NONE | C::UTF8 | C::ENUM | C::JSON, _) => Kind::Text,
            (Type::FIXED_LEN_BYTE_ARRAY, C::NONE, None) => Kind::Text,
            _ => Kind::Other,
        }
    }
}

/// Decoded values, without the nulls.
enum Values {
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    OldTime(Vec<Int96>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
    None,
}

/// A column of a row group, and the batch of it that was read last.
pub(super) struct Cells {
    reader: ColumnReader,
    pub(super) kind: Kind,
    /// The level at which a value is there; 0 if it always is.
    present: i16,
    levels: Vec<i16>,
    values: Values,
}

/// A cell's value for one purpose, or what is wrong with it.
type Cell<T> = std::result::Result<T, Wrong>;

impl Cells {
    pub(super) fn new(reader: ColumnReader, column: &ColumnDescriptor) -> Self {
        let values = match reader {
            ColumnReader::Int32ColumnReader(_) => Values::Int(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::Long(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::Double(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Values::OldTime(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(Vec::new()),
            ColumnReader::BoolColumnReader(_) => Values::None,
        };
        Self { reader, kind: Kind::of(column), present: column.max_def_level(), levels: Vec::new(), values }
    }

    /// Reads up to `most` rows; returns how many, less only at the end. A null ends them:
    /// it is the row behind those that are returned, if the second is true.
    pub(super) fn read(&mut self, most: usize) -> Result<(usize, bool)> {
        self.levels.clear();
        macro_rules! read {
            ($(($reader:ident, $values:ident)),*) => {
                match (&mut self.reader, &mut self.values) {
                    $((ColumnReader::$reader(reader), Values::$values(values)) => {
                        values.clear();
                        reader.read_records(most, Some(&mut self.levels), None, values)?
                    })*
                    _ => (0, 0, 0),
                }
            };
        }
        let (rows, values, _) = read!(
            (Int32ColumnReader, Int),
            (Int64ColumnReader, Long),
            (FloatColumnReader, Float),
            (DoubleColumnReader, Double),
            (Int96ColumnReader, OldTime),
            (ByteArrayColumnReader, Bytes),
            (FixedLenByteArrayColumnReader, Fixed)
        );
        match self.levels.iter().position(|&level| level != self.present) {
            Some(null) if self.present > 0 => Ok((null, true)),
            _ => Ok((rows.min(values), false)),
        }
    }

    fn bytes(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::Bytes(values) => values.get(row).map_or(&[], |value| value.data()),
            Values::Fixed(values) => values.get(row).map_or(&[], |value| value.data()),
            _ => &[],
        }
    }

    #[expect(clippy::indexing_slicing, reason = "`read` has returned more rows, and no more than values")]
    fn whole(&self, row: usize) -> i128 {
        match &self.values {
            Values::Int(values) if self.kind == Kind::Unsigned => i128::from(values[row] as u32),
            Values::Int(values) => i128::from(values[row]),
            Values::Long(values) if self.kind == Kind::Unsigned => i128::from(values[row] as u64),
            Values::Long(values) => i128::from(values[row]),
            // A decimal: big-endian, of any length; more than 16 bytes hold no rating.
            Values::Bytes(_) | Values::Fixed(_) => {
                let bytes = self.bytes(row);
                let sign = if bytes.first().is_some_and(|&first| first > 127) { -1 } else { 0 };
                bytes.iter().fold(sign, |sum, &byte| sum << 8 | i128::from(byte))
            }
            _ => 0,
        }
    }

    fn float(&self, row: usize) -> f64 {
        match &self.values {
            Values::Float(values) => values.get(row).copied().map_or(f64::NAN, f64::from),
            Values::Double(values) => values.get(row).copied().unwrap_or(f64::NAN),
            _ => f64::NAN,
        }
    }

    /// Replaces `id` by the cell as an id: whole numbers in decimal, texts as they are.
    pub(super) fn id(&self, row: usize, id: &mut Vec<u8>) {
        id.clear();
        if self.kind == Kind::Text {
            id.extend_from_slice(self.bytes(row));
        } else {
            use std::io::Write;
            // Writing to a Vec can't fail.
            let _ = write!(id, "{}", self.whole(row));
        }
    }

    /// The cell as a rating.
    pub(super) fn rating(&self, row: usize) -> Cell<f32> {
        check_rating(match self.kind {
            Kind::Text => return parse_rating(self.bytes(row)),
            Kind::Float => self.float(row),
            Kind::Half => self.bytes(row).first_chunk().map_or(f64::NAN, |b| half(u16::from_le_bytes(*b))),
            Kind::Decimal(scale) => self.whole(row) as f64 / 10_f64.powi(scale),
            _ => self.whole(row) as f64,
        })
    }

    /// The cell as seconds since 1970, or whatever its numbers count.
    pub(super) fn time(&self, row: usize) -> Cell<i64> {
        let seconds = match (&self.values, self.kind) {
            (_, Kind::Text) => return parse_timestamp(self.bytes(row)),
            (_, Kind::Time(second)) => self.whole(row).div_euclid(i128::from(second)),
            (_, Kind::Date) => self.whole(row) * 86_400,
            (Values::OldTime(values), _) => {
                values.get(row).map_or(i128::MAX, |value| i128::from(value.to_seconds()))
            }
            // Beyond 2⁶² the unit is no second of any calendar; NaN is beyond, too.
            (_, Kind::Float) if self.float(row).abs() < (1_u64 << 62) as f64 => {
                self.float(row).floor() as i128
            }
            (_, Kind::Float) => i128::MAX,
            _ => self.whole(row),
        };
        i64::try_from(seconds).map_err(|_| {
            let shown =
                if self.kind == Kind::Float { self.float(row).to_string() } else { seconds.to_string() };
            let what = format!("timestamp {} is no time in seconds", quoted(shown.as_bytes()));
            (what, "correct it, or name the right column as the fourth of --columns".to_owned())
        })
    }
}
