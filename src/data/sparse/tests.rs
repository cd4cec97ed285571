use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::data::Cells;

fn naive(rows: usize, row_of: &[u32], column_of: &[u32]) -> (Compressed, Vec<u64>) {
    let mut order: Vec<u64> = (0..row_of.len() as u64).collect();
    order.sort_by_key(|&p| (row_of[p as usize], column_of[p as usize]));
    let columns = order.iter().map(|&p| column_of[p as usize]).collect();
    let before = |row| row_of.iter().filter(|&&r| (r as usize) < row).count() as u64;
    (Compressed { offsets: (0..=rows).map(before).collect(), columns }, order)
}

fn random(seed: u64, rows: u32, columns: u32, entries: usize) -> (Vec<u32>, Vec<u32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let skewed = |rng: &mut ChaCha8Rng, n: u32| {
        let most = rng.random_range(0..n);
        rng.random_range(0..=most)
    };
    (0..entries).map(|_| (skewed(&mut rng, rows), skewed(&mut rng, columns))).unzip()
}

#[test]
fn equals_the_naive_construction() {
    for (seed, (rows, columns, entries)) in
        [(1, 1, 1), (5, 3, 40), (40, 5, 10), (7, 900, 3_000), (60, 50, 20_000), (3, 2, 0)]
            .into_iter()
            .enumerate()
    {
        let (row_of, column_of) = random(seed as u64, rows, columns, entries);
        let built = Compressed::build(rows as usize, &row_of, &column_of);
        let expected = naive(rows as usize, &row_of, &column_of);
        assert_eq!(built, expected, "{rows}×{columns}, {entries}");
        // The way of more entries than a test can have.
        let (offsets, order, mut many) = (&expected.0.offsets, &expected.1, built.clone());
        many.0.columns.fill(9);
        many.1.fill(9);
        for band in bands(offsets, &mut many.1, &mut many.0.columns) {
            band.sort_many(offsets, &row_of, &column_of);
        }
        assert_eq!((&many.0.columns, &many.1), (&expected.0.columns, order));
    }
}

#[test]
fn the_pattern_alone_and_cells_are_those_of_the_layout() {
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            for (rows, columns, entries) in
                [(1, 1, 1), (3, 2, 0), (900, 300, 40_000), (60, 50, 2_000), (50, 7_000, 900)]
            {
                // Distinct pairs, in an order that knows neither rows nor columns.
                let all = u64::from(rows * columns);
                let pairs = (0..entries as u64).map(|p| (p * 1_000_003 % all) as u32);
                let (row_of, column_of): (Vec<u32>, Vec<u32>) =
                    pairs.map(|pair| (pair / columns, pair % columns)).unzip();
                let (rows, expected) = (rows as usize, naive(rows as usize, &row_of, &column_of));
                // In a row they come by position.
                let values: Vec<f32> = (0..entries).map(|p| p as f32 + 0.5).collect();
                let cells = Cells::build(rows, &row_of, &column_of, &values);
                let found =
                    (0..rows).flat_map(|row| cells.row(row)).map(|&[to, bits]| (to, f32::from_bits(bits)));
                let mut order: Vec<usize> = (0..entries).collect();
                order.sort_by_key(|&p| row_of[p]);
                let ordered = order.iter().map(|&p| (column_of[p], p as f32 + 0.5));
                assert!(found.eq(ordered), "{rows} rows, {entries}");
                assert_eq!(Compressed::pattern(&cells, columns as usize), expected.0);
                assert_eq!(cells.counts(), count(rows, &row_of));
            }
        });
    }
}

#[test]
fn repeats_are_found_wherever_they_are() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (rows, columns) = (rng.random_range(1..300), rng.random_range(60..900));
        let entries = rng.random_range(0..40_000).min(rows * columns) as usize;
        // Distinct pairs in any order, by a step that has no factor in common with their number.
        let (cells, step) = (u64::from(rows * columns), 1_000_003);
        let (mut row_of, mut column_of): (Vec<u32>, Vec<u32>) = (0..entries as u64)
            .map(|p| ((p * step % cells) as u32 / columns, (p * step % cells) as u32 % columns))
            .unzip();
        let found = |row_of: &[u32], column_of: &[u32]| {
            Compressed::repeats(rows as usize, columns as usize, row_of, column_of)
        };
        assert!(!found(&row_of, &column_of), "seed {seed}");
        if entries > 1 {
            let (from, to) = (rng.random_range(0..entries), rng.random_range(0..entries - 1));
            let to = to + usize::from(to >= from);
            (row_of[to], column_of[to]) = (row_of[from], column_of[from]);
            assert!(found(&row_of, &column_of), "seed {seed}");
        }
    }
    assert!(!Compressed::repeats(0, 0, &[], &[]));
}

#[test]
fn one_thread_and_four_agree() {
    let (row_of, column_of) = random(11, 3_000, 800, 300_000);
    let build = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (Compressed::build(3_000, &row_of, &column_of), count(3_000, &row_of)))
    };
    let one = build(1);
    assert_eq!(one, build(4));
    assert_eq!(one, build(7));
    assert_eq!(one.0, naive(3_000, &row_of, &column_of));
}

#[test]
fn a_row_with_half_of_all_entries_and_rows_without_any() {
    let entries = 40_000;
    let row_of: Vec<u32> = (0..entries).map(|p| if p % 2 == 0 { 6 } else { p % 5 }).collect();
    let column_of: Vec<u32> = (0..entries).map(|p| entries - p).collect();
    let (pattern, order) = Compressed::build(9, &row_of, &column_of);
    assert_eq!(pattern.row(6).len(), entries as usize / 2);
    assert!(pattern.row(5).is_empty() && pattern.row(7).is_empty() && pattern.row(8).is_empty());
    assert_eq!((pattern.rows(), pattern.len()), (9, entries as usize));
    assert_eq!(gather(&order, &column_of), pattern.columns);
    assert_eq!(&pattern.columns[pattern.range(6)], pattern.row(6));
}

#[test]
fn equal_pairs_keep_their_order() {
    let (_, order) = Compressed::build(2, &[1, 0, 1, 1], &[3, 3, 3, 2]);
    assert_eq!(order, [1, 3, 0, 2]);
}
