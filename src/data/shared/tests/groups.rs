//! Files in groups of rows, each of which one process reads.

use std::sync::Arc;

use parquet::data_type::{DataType, FloatType, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::*;

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>, values: &[T::T]) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
}

/// A Parquet file with groups of so many rows.
fn file(rows: &[(i64, i64, f32)], group: usize) -> Vec<u8> {
    let schema = "message ratings { REQUIRED INT64 user; REQUIRED INT64 item; REQUIRED FLOAT rating; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    for rows in rows.chunks(group) {
        let mut group = writer.next_row_group().unwrap();
        column::<Int64Type>(&mut group, &rows.iter().map(|row| row.0).collect::<Vec<_>>());
        column::<Int64Type>(&mut group, &rows.iter().map(|row| row.1).collect::<Vec<_>>());
        column::<FloatType>(&mut group, &rows.iter().map(|row| row.2).collect::<Vec<_>>());
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn groups_of_rows_are_read_and_refused_as_by_one() {
    let options = ReadOptions::default();
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let inputs: Vec<Input> = (0..rng.random_range(1..4))
            .map(|number| {
                let count = rng.random_range(1..300);
                let mut rows: Vec<_> = (0..count)
                    .map(|row| (rng.random_range(0..50), i64::from(number * 1_000 + row), 1.0))
                    .collect();
                if seed % 3 == 0 {
                    let at = rng.random_range(0..rows.len());
                    rows[at].2 = f32::NAN;
                }
                if seed % 5 == 0 {
                    let at = rng.random_range(0..rows.len());
                    rows.push(rows[at]);
                }
                let group = [1, 7, 50, 1_000][rng.random_range(0..4)];
                Input::bytes(format!("{number}.parquet"), file(&rows, group))
            })
            .collect();
        let expected = alone(&inputs, &options);
        assert_eq!(expected.is_ok(), seed % 3 > 0 && seed % 5 > 0);
        for processes in 1..6 {
            assert_eq!(together(processes, &inputs, &options), expected, "{processes}, seed {seed}");
        }
    }
}

#[test]
fn each_process_reads_some_of_many_groups() {
    let rows: Vec<_> = (0..4_000).map(|row| (row % 90, row, 3.0)).collect();
    let inputs = [Input::bytes("many.parquet", file(&rows, 100))];
    let counts = threads::run(4, |world| {
        let part = part::read(world, inputs.to_vec(), &ReadOptions::default()).unwrap();
        part.into_triples().value.len()
    });
    assert_eq!(counts, [1_000; 4]);
}
