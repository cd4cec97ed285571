//! Sums over blocks of the other side's rows: what the CPU's fused kernels add up inside a row is,
//! bit for bit, what comes of finding each block's sums alone and adding these in order.

use deltav::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::fused::{Columns, Packing};
use deltav::kernel::pack_rows::PackRows;
use deltav::kernel::row_gradient::RowGradient;
use deltav::kernel::row_pattern::RowPattern;
use deltav::kernel::{Dispatch, Element};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::devices;
use crate::support::inputs::uniform;

/// Rows of the other side in a block.
const BLOCK: usize = 64;

/// A side's rows, the cells of each sorted by the other side's rows.
struct Side {
    columns: Columns,
    /// Columns of the other side, whose bias stands elsewhere.
    other_columns: Columns,
    others: usize,
    /// The other side's row and the target of each cell.
    rows: Vec<Vec<(u32, f32)>>,
    factors: Vec<f32>,
    other_factors: Vec<f32>,
}

impl Side {
    fn new(rank: usize, bias: bool, others: usize, lengths: &[usize]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64((rank * 1000 + others) as u64);
        let width = if bias { rank + 2 } else { rank };
        let unit = if bias { 0.75 } else { 0.0 };
        let columns = |at| Columns { width, rank, bias: bias.then_some(at), unit };
        let rows = lengths.iter().map(|&length| {
            // Some of the other side have no rating: all of the third block's, among them.
            let mut met: Vec<u32> = (0..length).map(|_| rng.random_range(0..others as u32)).collect();
            met.retain(|&other| other as usize / BLOCK != 2);
            met.sort_unstable();
            met.into_iter().map(|other| (other, rng.random_range(-2.0..2.0f32))).collect()
        });
        let rows: Vec<Vec<(u32, f32)>> = rows.collect();
        let mut matrix = |rows: usize, constant: usize| {
            let mut matrix = uniform(&mut rng, rows * width);
            if bias {
                matrix.chunks_mut(width).for_each(|row| row[constant] = unit);
            }
            matrix
        };
        Self {
            columns: columns(rank),
            other_columns: columns(rank + 1),
            others,
            factors: matrix(rows.len(), rank + 1),
            other_factors: matrix(others, rank),
            rows,
        }
    }

    fn blocks(&self) -> usize {
        self.others.div_ceil(BLOCK)
    }

    fn packed(&self, backend: &mut dyn Backend, variances: Option<Buffer>) -> (Buffer, Packing) {
        let lanes = self.columns.rank.next_multiple_of(backend.lanes());
        let packing = Packing { rows: self.others, lanes, spread: variances.is_some(), half: false };
        let packed = backend.alloc("packed", Element::U32, packing.len()).unwrap();
        let factors = alloc_f32(backend, "others", &self.other_factors).unwrap();
        let call = PackRows { factors, variances, packed, packing, columns: self.other_columns };
        backend.dispatch(&[call.dispatch().unwrap()]).unwrap();
        (packed, packing)
    }

    /// The cells of all blocks, or of one alone.
    fn chunk(&self, backend: &mut dyn Backend, block: Option<usize>) -> Chunk {
        let mut offsets = vec![0u32];
        let mut cells = Vec::new();
        for row in &self.rows {
            let mine =
                row.iter().filter(|(other, _)| block.is_none_or(|block| *other as usize / BLOCK == block));
            cells.extend(mine.flat_map(|&(other, target)| [other, target.to_bits()]));
            offsets.push(cells.len() as u32 / 2);
        }
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(offsets[row as usize + 1] - offsets[row as usize]));
        let cells = if cells.is_empty() { vec![0, 0] } else { cells };
        let rows: Vec<u32> = offsets.into_iter().chain(order).collect();
        let rows = alloc_u32(backend, "rows", &rows).unwrap();
        Chunk { rows, cells: alloc_u32(backend, "cells", &cells).unwrap() }
    }
}

struct Chunk {
    rows: Buffer,
    cells: Buffer,
}

/// Ranks of one vector, of as many as are unrolled and of others; rows of every kind: empty, of one
/// rating, of many blocks, and longer than a segment in all or in one block.
fn sides() -> Vec<Side> {
    let lengths = [0, 1, 3, 0, 150, 2, 700, 0, 40];
    let mut sides = Vec::new();
    for (i, rank) in [1, 3, 17, 32, 40, 130].into_iter().enumerate() {
        for bias in [false, true] {
            sides.push(Side::new(rank, bias, 300 + 61 * i, &lengths));
        }
    }
    sides.push(Side::new(5, true, 1, &[0, 1, 20_000]));
    sides.push(Side::new(40, true, 70, &[20_000, 0, 9000, 1]));
    sides.push(Side::new(17, false, 1000, &[30_000, 5]));
    sides
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn run(backend: &mut dyn Backend, call: &Dispatch, result: Buffer) -> Vec<f32> {
    backend.dispatch(std::slice::from_ref(call)).unwrap();
    read_f32(backend, result).unwrap()
}

/// What each block gives alone, added up from 0.
fn added(blocks: &[Vec<f32>]) -> Vec<f32> {
    let mut sums = vec![0.0f32; blocks[0].len()];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
    }
    sums
}

#[test]
fn a_gradient_and_a_pattern_are_those_of_their_blocks_added_up_in_order() {
    for side in sides() {
        let mut cpu = devices::cpu(3);
        let (packed, packing) = side.packed(&mut cpu, None);
        let columns = side.columns;
        let factors = alloc_f32(&mut cpu, "factors", &side.factors).unwrap();
        let results = cpu.alloc("results", Element::F32, side.factors.len()).unwrap();
        let mut both = |cpu: &mut dyn Backend, alone: Option<usize>, block: usize| {
            let Chunk { rows, cells } = side.chunk(cpu, alone);
            let (first, long) = (0, 0);
            #[rustfmt::skip]
            let gradient = RowGradient {
                rows, cells, packed, factors, gradient: results, first, long, block, packing, columns,
            };
            let pattern =
                RowPattern { rows, cells, packed, sums: results, first, long, block, packing, columns };
            [gradient.dispatch(), pattern.dispatch()].map(|call| run(cpu, &call.unwrap(), results))
        };
        let whole = both(&mut cpu, None, BLOCK);
        let alone: Vec<_> = (0..side.blocks()).map(|block| both(&mut cpu, Some(block), 0)).collect();
        for (i, whole) in whole.iter().enumerate() {
            let blocks: Vec<Vec<f32>> = alone.iter().map(|block| block[i].clone()).collect();
            assert_eq!(
                bits(whole),
                bits(&added(&blocks)),
                "rank {}, {}",
                columns.rank,
                ["gradient", "pattern"][i]
            );
        }
        // One block of all is no block.
        let one = both(&mut cpu, None, side.others);
        assert_eq!(one, both(&mut cpu, None, 0), "rank {}", columns.rank);
        // And the order does matter: the test could fail.
        if side.rows.iter().any(|row| row.len() > 600) && side.blocks() > 2 {
            assert_ne!(whole, one, "rank {}", columns.rank);
        }
    }
}
