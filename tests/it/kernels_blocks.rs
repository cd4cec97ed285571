//! Sums over blocks of the other side's rows: what the CPU's fused kernels add up inside a row is,
//! bit for bit, what comes of finding each block's sums alone and adding these in order.

use deltav::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::fused::{Columns, Packing};
use deltav::kernel::join_parts::JoinParts;
use deltav::kernel::pack_rows::PackRows;
use deltav::kernel::row_bend::RowBend;
use deltav::kernel::row_direction::RowDirection;
use deltav::kernel::row_gradient::RowGradient;
use deltav::kernel::row_part::{self, RowPart};
use deltav::kernel::row_pass::RowPass;
use deltav::kernel::row_pass_learned::RowPassLearned;
use deltav::kernel::row_pattern::RowPattern;
use deltav::kernel::row_step::RowStep;
use deltav::kernel::{Dispatch, Element, row_sums};
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
    /// `start`: the factors that are not 0.
    fn new(start: usize, rank: usize, bias: bool, others: usize, lengths: &[usize]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64((rank * 1000 + others) as u64);
        let width = if bias { rank + 2 } else { rank };
        let unit = if bias { 0.75 } else { 0.0 };
        let columns = |at| Columns { width, rank: start, bias: bias.then_some(at), unit };
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
            for row in matrix.chunks_mut(width) {
                row[start..rank].fill(0.0);
                if bias {
                    row[constant] = unit;
                }
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

#[derive(Clone, Copy)]
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
            sides.push(Side::new(rank, rank, bias, 300 + 61 * i, &lengths));
        }
    }
    sides.push(Side::new(5, 5, true, 1, &[0, 1, 20_000]));
    sides.push(Side::new(40, 40, true, 70, &[20_000, 0, 9000, 1]));
    sides.push(Side::new(17, 17, false, 1000, &[30_000, 5]));
    sides.push(Side::new(3, 37, true, 200, &lengths));
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
        let both = |cpu: &mut dyn Backend, alone: Option<usize>, block: usize| {
            let Chunk { rows, cells } = side.chunk(cpu, alone);
            let (first, long) = (0, 0);
            #[rustfmt::skip]
            let gradient = RowGradient {
                rows, cells, packed, factors, gradient: results, first, place: 0, long, block, packing, columns,
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

/// Matrices and numbers of the rows and of the other side that a line search has beside its factors.
struct Search {
    learned: bool,
    means: Vec<f32>,
    penalty: Vec<f32>,
    prior: Vec<f32>,
    other_variances: Vec<f32>,
}

impl Search {
    fn new(side: &Side, learned: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(side.others as u64);
        let mut positive = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(0.1..1.5f32)).collect() };
        let mut penalty = positive(side.rows.len());
        // A row without ratings has none.
        penalty
            .iter_mut()
            .zip(&side.rows)
            .filter(|(_, row)| row.is_empty())
            .for_each(|(penalty, _)| *penalty = 0.0);
        Self {
            learned,
            penalty,
            prior: positive(side.columns.width),
            other_variances: positive(side.others * side.columns.width),
            means: uniform(&mut rng, side.factors.len()),
        }
    }
}

/// What a search leaves: factors, variances where priors are learned, energy, cost where they are not.
type Left = Vec<Vec<u32>>;

fn fused(side: &Side, search: &Search, block: usize) -> Left {
    let cpu: &mut dyn Backend = &mut devices::cpu(3);
    let other_variances = alloc_f32(cpu, "variances", &search.other_variances).unwrap();
    let (packed, packing) = side.packed(cpu, search.learned.then_some(other_variances));
    let Chunk { rows, cells } = side.chunk(cpu, None);
    let (first, long, columns, count) = (0, 0, side.columns, side.rows.len());
    let factors = alloc_f32(cpu, "factors", &side.factors).unwrap();
    let energy = cpu.alloc("energy", Element::F32, count).unwrap();
    let (call, results) = if search.learned {
        let variances = cpu.alloc("variances", Element::F32, side.factors.len()).unwrap();
        let prior = alloc_f32(cpu, "prior", &search.prior).unwrap();
        let means = Some(alloc_f32(cpu, "means", &search.means).unwrap());
        #[rustfmt::skip]
        let call = RowPassLearned {
            rows, cells, packed, means, prior, factors, variances, energy, first, long, block, packing, columns,
            noise: 0.3,
        };
        (call.dispatch(), [factors, variances, energy])
    } else {
        let penalty = alloc_f32(cpu, "penalty", &search.penalty).unwrap();
        let cost = cpu.alloc("cost", Element::F32, count).unwrap();
        #[rustfmt::skip]
        let call = RowPass {
            rows, cells, packed, penalty, factors, energy, cost, first, long, block, packing, columns,
        };
        (call.dispatch(), [factors, energy, cost])
    };
    cpu.dispatch(&[call.unwrap()]).unwrap();
    results.map(|result| bits(&read_f32(cpu, result).unwrap())).to_vec()
}

/// The same in parts, each block's cells apart from the others.
fn split(side: &Side, search: &Search) -> Left {
    let cpu: &mut dyn Backend = &mut devices::cpu(2);
    let other_variances = alloc_f32(cpu, "variances", &search.other_variances).unwrap();
    let (packed, packing) = side.packed(cpu, search.learned.then_some(other_variances));
    let (columns, count, blocks) = (side.columns, side.rows.len(), side.blocks());
    let (width, first, long) = (columns.width, 0, 0);
    let factors = alloc_f32(cpu, "factors", &side.factors).unwrap();
    let planes = if search.learned { 3 } else { 2 };
    let elements = row_part::stride(width, search.learned);
    assert_eq!(elements, planes * width + 1);
    let stride = row_sums::stride(width);
    let sums = cpu.alloc("sums", Element::F32, count * stride).unwrap();
    let parts = cpu.alloc("parts", Element::F32, blocks * count * elements).unwrap();
    let bends = cpu.alloc("bends", Element::F32, blocks * count).unwrap();
    let chunks: Vec<Chunk> = (0..blocks).map(|block| side.chunk(cpu, Some(block))).collect();
    let mut recording = Vec::new();
    for (block, &Chunk { rows, cells }) in chunks.iter().enumerate() {
        let place = block * count;
        let call = RowPart { rows, cells, packed, factors, parts, first, place, long, packing, columns };
        recording.push(call.dispatch().unwrap());
    }
    let join = |parts, columns, body, tail| {
        JoinParts { parts, totals: sums, blocks, rows: count, columns, body, tail, stride, first }
            .dispatch()
            .unwrap()
    };
    recording.push(join(parts, elements, planes * width, 4 * width));
    let penalty = alloc_f32(cpu, "penalty", &search.penalty).unwrap();
    let prior = alloc_f32(cpu, "prior", &search.prior).unwrap();
    let means = search.learned.then(|| alloc_f32(cpu, "means", &search.means).unwrap());
    let variances = cpu.alloc("variances", Element::F32, side.factors.len()).unwrap();
    let energy = cpu.alloc("energy", Element::F32, count).unwrap();
    let cost = cpu.alloc("cost", Element::F32, count).unwrap();
    let (fixed, frozen) = (!search.learned, columns.bias.map(|bias| bias + 1));
    let noise = if search.learned { 0.3 } else { 0.0 };
    #[rustfmt::skip]
    let call = RowDirection { factors, means, penalty, prior, sums, variances, energy, width, fixed, frozen, noise };
    recording.push(call.dispatch().unwrap());
    for (block, &Chunk { rows, cells }) in chunks.iter().enumerate() {
        let place = block * count;
        let call = RowBend { rows, cells, packed, sums, parts: bends, first, place, long, packing, columns };
        recording.push(call.dispatch().unwrap());
    }
    recording.push(join(bends, 1, 0, 4 * width + 1));
    let call = RowStep { sums, penalty, prior, factors, energy: cost, width, fixed, frozen };
    recording.push(call.dispatch().unwrap());
    cpu.dispatch(&recording).unwrap();
    let results = if search.learned { [factors, variances, energy] } else { [factors, energy, cost] };
    results.map(|result| bits(&read_f32(cpu, result).unwrap())).to_vec()
}

#[test]
fn a_line_search_in_parts_is_that_of_the_whole_row_to_the_bit() {
    for side in sides() {
        for learned in [false, true] {
            // Before anything is learned, factors that are 0 stay so; then all of them move.
            if learned && side.columns.rank + 2 < side.columns.width {
                continue;
            }
            let search = Search::new(&side, learned);
            let whole = fused(&side, &search, BLOCK);
            let what = format!("{:?}, learned {learned}", side.columns);
            assert_eq!(split(&side, &search), whole, "{what}");
            // And the order does matter: the test could fail.
            if side.rows.iter().any(|row| row.len() > 600) && side.blocks() > 2 {
                assert_ne!(fused(&side, &search, 0), whole, "{what}");
            }
        }
    }
}
