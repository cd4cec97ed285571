//! Whether rows and cells that lie otherwise would pay on this CPU: one walk of one thread over every
//! rating of two planted sets, once by user and once by item, with what a gradient and its curvature
//! need of a row in registers.
//!
//! `cargo bench --bench layouts` prints medians of nine turns and how many times as fast as the layout
//! that the kernels have: an index of 32 bits and a rating of 32 beside it, rows of f32.

#![allow(missing_docs, clippy::print_stdout, reason = "a bench is for people")]

use std::hint::black_box;
use std::time::Instant;

use bytemuck::{Pod, Zeroable, cast_slice};
use deltav::Result;
use deltav::data::planted::Shape;
use deltav::data::{Compressed, gather};
use pulp::{Scalar512b, Simd, WithSimd};

/// Lanes of a vector.
const LANES: usize = 16;
const TURNS: usize = 9;
/// Rows of the other side in a tile: with 32 factors they fill half a second cache of a megabyte, and twice that.
const TILES: [usize; 2] = [4_096, 16_384];

/// A vector's numbers, where a cache line begins.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u32; LANES]);

/// The ratings of a side's rows.
struct Cells {
    offsets: Vec<usize>,
    /// The other side's index and the rating.
    wide: Vec<(u32, f32)>,
    /// The same in 16 bits and 8: ratings are halves.
    narrow: (Vec<u16>, Vec<u8>),
    others: usize,
}

impl Cells {
    fn new(rows: usize, others: usize, row_of: &[u32], column_of: &[u32], values: &[f32]) -> Self {
        let (pattern, order) = Compressed::build(rows, row_of, column_of);
        let values = gather(&order, values);
        let codes = values.iter().map(|value| (value * 2.0).round() as u8).collect();
        Self {
            offsets: pattern.offsets.iter().map(|&offset| offset as usize).collect(),
            narrow: (pattern.columns.iter().map(|&column| column as u16).collect(), codes),
            wide: pattern.columns.into_iter().zip(values).collect(),
            others,
        }
    }

    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where each row's cells begin in each tile: `[tiles + 1, rows]`.
    fn bounds(&self, tile: usize) -> Vec<Vec<usize>> {
        let tiles = self.others.div_ceil(tile);
        let bound = |first: usize| {
            let each = self.offsets.windows(2).map(move |row| {
                row[0] + self.wide[row[0]..row[1]].partition_point(|cell| (cell.0 as usize) < first)
            });
            each.collect()
        };
        (0..=tiles).map(|at| bound(at * tile)).collect()
    }
}

/// How the other side lies.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Wide,
    Codes,
    /// Two bf16 a word.
    Halves,
    Tiles,
}

/// One walk; `V`: vectors of a row.
struct Walk<'a, const V: usize> {
    cells: &'a Cells,
    way: Way,
    bounds: &'a [Vec<usize>],
    own: &'a [Line],
    others: &'a [Line],
    sums: &'a mut [Line],
}

impl<const V: usize> WithSimd for Walk<'_, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { cells, way, bounds, own, others, sums } = self;
        let vectors = |lines| S::as_simd_f32s(cast_slice::<Line, f32>(lines)).0;
        let (x, halves) = (vectors(others), S::as_simd_u32s(cast_slice::<Line, u32>(others)).0);
        let (high, low) = (simd.splat_u32s(0xffff_0000), simd.splat_u32s(16));
        let codes: [f32; 256] = std::array::from_fn(|code| code as f32 / 2.0);
        let zero = simd.splat_f32s(0.0);
        let sums = S::as_mut_simd_f32s(bytemuck::cast_slice_mut::<Line, f32>(sums)).0;
        for (tile, bounds) in bounds.windows(2).enumerate() {
            for row in 0..cells.rows() {
                let (from, to) = (bounds[0][row], bounds[1][row]);
                if tile > 0 && from == to {
                    continue;
                }
                let w: &[S::f32s; V] = vectors(own)[row * V..][..V].try_into().expect("a row");
                let sums: &mut [S::f32s] = &mut sums[row * 2 * V..][..2 * V];
                let (mut g, mut h) = ([zero; V], [zero; V]);
                if tile > 0 {
                    g.copy_from_slice(&sums[..V]);
                    h.copy_from_slice(&sums[V..]);
                }
                for cell in from..to {
                    let (index, rating) = match way {
                        Way::Codes => {
                            (usize::from(cells.narrow.0[cell]), codes[usize::from(cells.narrow.1[cell])])
                        }
                        _ => (cells.wide[cell].0 as usize, cells.wide[cell].1),
                    };
                    let mut row = [zero; V];
                    if way == Way::Halves {
                        let pairs = &halves[index * V / 2..][..V / 2];
                        for pair in 0..V / 2 {
                            row[2 * pair] = simd.transmute_f32s_u32s(simd.and_u32s(pairs[pair], high));
                            row[2 * pair + 1] =
                                simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(pairs[pair], low));
                        }
                    } else {
                        row.copy_from_slice(&x[index * V..][..V]);
                    }
                    let mut dot = zero;
                    for f in 0..V {
                        dot = simd.mul_add_f32s(w[f], row[f], dot);
                    }
                    let e = simd.splat_f32s(rating - simd.reduce_sum_f32s(dot));
                    for f in 0..V {
                        g[f] = simd.mul_add_f32s(e, row[f], g[f]);
                        h[f] = simd.mul_add_f32s(row[f], row[f], h[f]);
                    }
                }
                sums[..V].copy_from_slice(&g);
                sums[V..].copy_from_slice(&h);
            }
        }
    }
}

/// Walks with AVX-512 where there is, and else with what the compiler makes of sixteen lanes.
fn vectorize(task: impl WithSimd) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        Simd::vectorize(simd, task);
        return;
    }
    Simd::vectorize(Scalar512b, task);
}

/// Median ms of each way.
fn measure<const V: usize>(cells: &Cells) -> Vec<f64> {
    let line = |at: usize| Line([(0.01 * (at % 13) as f32).to_bits(); LANES]);
    let own: Vec<Line> = (0..cells.rows() * V).map(line).collect();
    let others: Vec<Line> = (0..cells.others * V).map(line).collect();
    let mut sums = vec![Line::zeroed(); cells.rows() * 2 * V];
    let whole = cells.bounds(cells.others);
    let tiles = TILES.map(|tile| cells.bounds(tile));
    let ways = [
        (Way::Wide, &whole),
        (Way::Codes, &whole),
        (Way::Halves, &whole),
        (Way::Tiles, &tiles[0]),
        (Way::Tiles, &tiles[1]),
    ];
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..TURNS {
        for ((way, bounds), times) in ways.into_iter().zip(&mut times) {
            let began = Instant::now();
            let walk = Walk::<V> { cells, way, bounds, own: &own, others: &others, sums: &mut sums };
            vectorize(walk);
            black_box(&mut sums);
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times.into_iter().map(|times| times[TURNS / 2]).collect()
}

fn main() -> Result<()> {
    println!(
        "| ratings | rank | rows of | ms | 16 + 8 bits a cell | bf16 rows | tiles of {} | of {} |",
        TILES[0], TILES[1]
    );
    println!("|---|--:|---|--:|--:|--:|--:|--:|");
    for name in ["ml-1m", "10m"] {
        let shape = Shape::by_name(name).expect("a shape");
        let ratings = shape.planted().generate()?.ratings;
        let sizes = [ratings.users.len(), ratings.items.len()];
        let ends = [&ratings.user, &ratings.item];
        for (side, role) in ["users", "items"].into_iter().enumerate() {
            let other = 1 - side;
            let cells = Cells::new(sizes[side], sizes[other], ends[side], ends[other], &ratings.value);
            // An index of 16 bits needs tiles where there are more rows.
            let short = cells.others <= 1 << 16;
            for (rank, times) in [(32, measure::<2>(&cells)), (128, measure::<8>(&cells))] {
                let ratio = |way: usize| format!("{:.2}", times[0] / times[way]);
                let codes = if short { ratio(1) } else { format!("({})", ratio(1)) };
                println!(
                    "| {name} | {rank} | {role} | {:.2} | {codes} | {} | {} | {} |",
                    times[0],
                    ratio(2),
                    ratio(3),
                    ratio(4)
                );
            }
        }
    }
    Ok(())
}
