//! Far rows give the bits of near ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::where_all_is_far;
use crate::kernel::row_pass::{self, row_pass};
use crate::kernel::row_pass_learned::{self, row_pass_learned};
use crate::kernel::row_pattern::{self, row_pattern};

/// Rows of the other side, and those in a block.
const OTHERS: u32 = 1_000;
const BLOCK: u32 = 192;

/// The chunk's first row.
const FIRST: u32 = 2;

/// A side's cells and what they gather.
struct Case {
    rank: usize,
    lanes: usize,
    width: usize,
    count: usize,
    rows: Vec<u32>,
    cells: Vec<u32>,
    rng: ChaCha8Rng,
}

impl Case {
    /// Rows without cells, with one, with some of every block, and two longer than a segment: of one
    /// block, and of all.
    fn new(rank: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(rank as u64);
        let mut rows = vec![0];
        let mut cells: Vec<u32> = Vec::new();
        for (length, others) in
            [(0, OTHERS), (1, OTHERS), (300, OTHERS), (9_000, 100), (20, OTHERS), (19_000, OTHERS), (40, 1)]
        {
            let mut columns: Vec<u32> = (0..length).map(|_| rng.random_range(0..others)).collect();
            columns.sort_unstable();
            cells.extend(columns.iter().flat_map(|&c| [c, rng.random_range(-2.0_f32..2.0).to_bits()]));
            rows.push(cells.len() as u32 / 2);
        }
        let count = rows.len() - 1;
        rows.extend(0..count as u32);
        let (lanes, width) = (rank.next_multiple_of(16), rank + 2);
        Self { rank, lanes, width, count, rows, cells, rng }
    }

    fn draw(&mut self, count: usize, from: f32) -> Vec<f32> {
        (0..count).map(|_| self.rng.random_range(from..1.0)).collect()
    }

    /// The other side, packed; what lies beyond the rank is 0.
    fn packed(&mut self, planes: usize) -> Vec<f32> {
        let mut packed = self.draw(OTHERS as usize * (planes * self.lanes + 2), 0.0);
        let rows = packed[..OTHERS as usize * planes * self.lanes].chunks_exact_mut(self.lanes);
        rows.for_each(|row| row[self.rank..].fill(0.0));
        packed
    }
}

/// The bits of all outputs, near and far.
fn both(run: impl Fn() -> Vec<Vec<f32>>) {
    let bits = |all: Vec<Vec<f32>>| all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let near = bits(run());
    assert!(near.iter().any(|&x| x != 0));
    assert_eq!(bits(where_all_is_far(&run)), near);
}

#[test]
fn far_rows_have_the_bits_of_near_ones() {
    for rank in [1, 5, 16, 32, 37, 128] {
        let mut case = Case::new(rank);
        let (count, width) = (case.count, case.width);
        let (wide, narrow) = (case.packed(2), case.packed(1));
        // The chunk begins behind two rows of others, and its rows are three groups.
        let total = count + FIRST as usize;
        let [factors, means] = [(); 2].map(|()| case.draw(total * width, -1.0));
        let (prior, penalty) = (case.draw(width, 0.1), case.draw(total, 0.1));
        let Case { lanes, rows, cells, .. } = case;
        let (count, width, rank, lanes) = (count as u32, width as u32, rank as u32, lanes as u32);
        let shape = row_pass::Params {
            count,
            first: FIRST,
            others: OTHERS,
            width,
            rank,
            lanes,
            bias: rank,
            unit: 0.5,
            long: 0,
            half: 0,
            block: BLOCK,
        };
        both(|| {
            let (mut factors, mut energy, mut cost) = (factors.clone(), vec![0.0; total], vec![0.0; total]);
            row_pass(&shape, &rows, &cells, &narrow, &penalty, &mut factors, &mut energy, &mut cost);
            vec![factors, energy, cost]
        });
        let learned = row_pass_learned::Params {
            count,
            first: FIRST,
            others: OTHERS,
            width,
            rank,
            lanes,
            bias: rank,
            unit: 1.0,
            centered: 1,
            noise: 0.7,
            long: 0,
            half: 0,
            block: BLOCK,
        };
        both(|| {
            let (mut factors, mut variances, mut energy) =
                (factors.clone(), vec![0.0; factors.len()], vec![0.0; total]);
            let (f, v, e) = (&mut factors, &mut variances, &mut energy);
            row_pass_learned(&learned, &rows, &cells, &wide, &means, &prior, f, v, e);
            vec![factors, variances, energy]
        });
        let pattern = row_pattern::Params {
            count,
            first: FIRST,
            others: OTHERS,
            width,
            rank,
            lanes,
            long: 0,
            half: 0,
            block: BLOCK,
        };
        both(|| {
            let mut sums = vec![1.0; factors.len()];
            row_pattern(&pattern, &rows, &cells, &narrow, &mut sums);
            vec![sums]
        });
    }
}
