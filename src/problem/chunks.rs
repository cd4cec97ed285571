//! The training cells as the fused kernels walk them: chunks of consecutive
//! rows of either side, each row's cells in the order of the ratings.

use std::cmp::Reverse;
use std::ops::Range;

use super::item_parts::{self, ItemRange};
use super::{Limits, Setup, Standard};
use crate::backend::{Backend, Buffer, Ledger};
use crate::config::Kernels;
use crate::data::{Cells, Known, Layout, Side, offsets};
use crate::error::{Error, Result};
use crate::kernel::Element;
use crate::kernel::fused::Packing;

/// Consecutive rows of a side with their cells.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// Its first row.
    pub first: usize,
    /// Where its rows' cells begin, and its rows, longest first: `[2·rows + 1]`.
    pub rows: Buffer,
    /// The other side's row and the target's bits of each cell, `[cells, 2]`.
    pub cells: Buffer,
    /// The first of these rows, which have at least [`Backend::long_row`] cells each.
    pub long: usize,
    /// Rows of the other side whose cells are summed up apart on a CPU, where the row's cells are in
    /// the order of that side; 0: a row's cells in one go.
    pub block: usize,
}

/// Both sides' chunks, and the buffers that rows are packed into.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) sides: [Vec<Chunk>; 2],
    /// Instead of the items' chunks, where users are shared out.
    pub(super) item_ranges: Option<Vec<ItemRange>>,
    /// Rows of either side, with the unknown ones.
    rows: [usize; 2],
    /// Per side: its rows as the other side gathers them.
    pub(super) packed: [Buffer; 2],
    /// Σ e² of each user.
    pub(super) squares: Buffer,
    /// What a rank is rounded up to.
    pace: usize,
    /// Whether rows are packed as f16.
    half: bool,
}

/// Whether the fused kernels train, and why not if they were asked for.
///
/// `rows`: users and items, with the unknown ones; `longest`: the cells of the longest row.
pub(super) fn fused(
    setup: &Setup<'_>,
    width: usize,
    rows: [usize; 2],
    longest: u64,
    limits: &Limits,
    backend: &dyn Backend,
) -> Result<bool> {
    let lanes = setup.rank.next_multiple_of(pace(setup, backend));
    let packing = |rows| Packing { rows, lanes, spread: setup.spreads, half: setup.half };
    let most = rows.iter().map(|&rows| packing(rows).len().max(rows * width)).max().unwrap_or(0);
    let longest_row = backend.max_row(lanes);
    if setup.share.is_some() && (setup.kernels == Kernels::Textbook || !setup.fuses) {
        return Err(Error::usage(
            if setup.fuses {
                "--kernels textbook trains in one process"
            } else {
                "this optimizer trains in one process"
            },
            "leave it out, or start one process",
        ));
    }
    let why = if setup.kernels == Kernels::Textbook {
        Some("--kernels textbook has none".to_owned())
    } else if !setup.fuses {
        Some("this optimizer has none".to_owned())
    } else if most as u64 * 4 > limits.bytes {
        Some(format!("{} bytes of factors exceed a buffer of {}", most as u64 * 4, limits.bytes))
    } else if longest > longest_row {
        Some(format!("a user or an item has {longest} ratings, and this device takes {longest_row} in a row"))
    } else if setup.kernels == Kernels::Auto && setup.share.is_none() && !backend.fuses() {
        Some(String::new())
    } else {
        None
    };
    match why {
        // Its twin first makes f32 of them: only tests want that.
        None if setup.half && !backend.halves() => {
            Err(Error::usage("--precision f16 is for GPUs", "leave it out, or pass --device gpu"))
        }
        Some(why) if setup.half => {
            Err(Error::usage(format!("--precision f16 is for the fused kernels: {why}"), "leave it out"))
        }
        Some(why) if setup.share.is_some() => Err(Error::usage(
            format!("{why}, and only the fused kernels train in several processes"),
            "pass a smaller --rank, or start more processes",
        )),
        Some(why) if !matches!(setup.kernels, Kernels::Auto | Kernels::Textbook) => Err(Error::usage(
            format!("no fused kernels: {why}"),
            "leave --kernels out, or pass --kernels textbook",
        )),
        why => Ok(why.is_none()),
    }
}

/// What the rank of packed rows is rounded up to: as much as the backend loads at once.
fn pace(setup: &Setup<'_>, backend: &dyn Backend) -> usize {
    if setup.half { backend.lanes().max(8) } else { backend.lanes() }
}

impl Chunks {
    /// Puts the cells on the device.
    pub(super) fn new(
        setup: &Setup<'_>,
        layout: Layout,
        known: &Known,
        standard: &Standard,
        limits: &Limits,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let Layout { by_user, by_item, block, .. } = layout;
        let items = known.item_counts.len();
        // A share's items have their cells block by block instead: never both at a time.
        let by_item = setup.share.is_none().then_some(by_item);
        let ranges = match by_item {
            Some(_) => None,
            None => Some(item_parts::upload(setup, &by_user, items, block, standard, limits, backend)?),
        };
        let sides = [
            upload(setup, by_user, 0, standard, limits, backend)?,
            match by_item {
                Some(by_item) => upload(setup, by_item, block, standard, limits, backend)?,
                None => Vec::new(),
            },
        ];
        Self::around(sides, ranges, setup, known, backend)
    }

    /// Asks a ledger for the same.
    pub(super) fn sketch(
        setup: &Setup<'_>,
        known: &Known,
        limits: &Limits,
        ledger: &mut Ledger<'_>,
    ) -> Result<Self> {
        let mut side = |counts: &[u64]| -> Result<Vec<Chunk>> {
            let offsets = with_unknown(offsets(counts));
            let mut chunks = Vec::new();
            for range in cut(&offsets, most_cells(setup, limits)) {
                let cells = offsets[range.end] - offsets[range.start];
                chunks.push(sketch_chunk(setup, &range, cells, ledger)?);
            }
            Ok(chunks)
        };
        let users = side(&known.user_counts)?;
        let (items, ranges) = match setup.share {
            Some(share) => {
                let own = known.user_counts.iter().sum();
                let ranges = item_parts::sketch(setup, share, &known.item_counts, own, limits, ledger)?;
                (Vec::new(), Some(ranges))
            }
            None => (side(&known.item_counts)?, None),
        };
        Self::around([users, items], ranges, setup, known, ledger)
    }

    /// With the buffers beside the cells.
    fn around(
        sides: [Vec<Chunk>; 2],
        item_ranges: Option<Vec<ItemRange>>,
        setup: &Setup<'_>,
        known: &Known,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let pace = pace(setup, backend);
        let lanes = setup.rank.next_multiple_of(pace);
        // The unknown's row has no cell.
        let [users, items] = [&known.user_counts, &known.item_counts].map(|counts| counts.len() + 1);
        let mut pack = |rows| {
            let packing = Packing { rows, lanes, spread: setup.spreads, half: setup.half };
            backend.alloc("packed factors", Element::U32, packing.len())
        };
        let packed = [pack(users)?, pack(items)?];
        let squares = backend.alloc("row losses", Element::F32, users)?;
        Ok(Self { sides, item_ranges, rows: [users, items], packed, squares, pace, half: setup.half })
    }

    /// How so many columns of a side's rows are packed.
    pub(super) fn packing(&self, role: Side, rank: usize, spread: bool) -> Packing {
        let rows = self.rows[role as usize];
        Packing { rows, lanes: rank.next_multiple_of(self.pace), spread, half: self.half }
    }
}

/// Asks a ledger for a chunk of so many cells; no kernel runs on it.
pub(super) fn sketch_chunk(
    setup: &Setup<'_>,
    rows: &Range<usize>,
    cells: u64,
    ledger: &mut Ledger<'_>,
) -> Result<Chunk> {
    let cells = 2 * cells.max(1) as usize;
    Ok(Chunk {
        first: rows.start,
        rows: ledger.alloc("rows", Element::U32, 2 * rows.len() + 1)?,
        cells: match setup.page_bytes {
            Some(_) => ledger.streamed("cells", Element::U32, cells)?,
            None => ledger.alloc("cells", Element::U32, cells)?,
        },
        long: 0,
        block: 0,
    })
}

/// Cuts rows so that no chunk has more cells than it may, but for one row alone.
fn cut(offsets: &[u64], most: u64) -> Vec<Range<usize>> {
    let rows = offsets.len() - 1;
    let mut pieces = Vec::new();
    let mut first = 0;
    for row in 0..rows {
        if offsets[row + 1] - offsets[first] > most && row > first {
            pieces.push(first..row);
            first = row;
        }
    }
    pieces.push(first..rows);
    pieces
}

/// The most cells of a chunk, but for one row alone.
pub(super) fn most_cells(setup: &Setup<'_>, limits: &Limits) -> u64 {
    let bytes = setup.page_bytes.map_or(limits.bytes, |page| page.min(limits.bytes));
    (bytes / 8).min(limits.cells as u64).max(1)
}

/// Where the cells of each row begin, and of the unknown's, which has none: `[rows + 2]`.
pub(super) fn with_unknown(mut offsets: Vec<u64>) -> Vec<u64> {
    offsets.extend(offsets.last().copied());
    offsets
}

/// A side's chunks, with the unknown's row.
fn upload(
    setup: &Setup<'_>,
    cells: Cells,
    block: usize,
    standard: &Standard,
    limits: &Limits,
    backend: &mut dyn Backend,
) -> Result<Vec<Chunk>> {
    let offsets = with_unknown(cells.offsets().to_vec());
    let cells = cells.with_values(|rating| standard.target(rating));
    let ranges = cut(&offsets, most_cells(setup, limits));
    chunks_of(setup, &offsets, cells, &ranges, block, backend)
}

/// The chunks of ranges of rows.
///
/// `offsets`: `[rows + 1]`; `cells`: `[entries, 2]`; `block`: as of [`Chunk`].
pub(super) fn chunks_of(
    setup: &Setup<'_>,
    offsets: &[u64],
    cells: Vec<u32>,
    ranges: &[Range<usize>],
    block: usize,
    backend: &mut dyn Backend,
) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::with_capacity(ranges.len());
    let mut cells = Some(cells);
    for range in ranges {
        let (start, end) = (offsets[range.start], offsets[range.end]);
        let mut rows: Vec<u32> =
            offsets[range.start..=range.end].iter().map(|&offset| (offset - start) as u32).collect();
        let mut order: Vec<u32> = (0..range.len() as u32).collect();
        order.sort_by_key(|&row| Reverse(rows[row as usize + 1] - rows[row as usize]));
        let cells_of = |row: &u32| (rows[*row as usize + 1] - rows[*row as usize]) as usize;
        let long = order.partition_point(|row| cells_of(row) >= backend.long_row());
        rows.extend(order);
        let mine = match &cells {
            _ if start == end => vec![0, 0], // no buffer is empty; no row has it
            Some(all) if ranges.len() > 1 => all[2 * start as usize..2 * end as usize].to_vec(),
            _ => cells.take().unwrap_or_default(),
        };
        chunks.push(Chunk {
            first: range.start,
            long,
            block,
            rows: backend.adopt("rows", Element::U32, rows)?,
            cells: match setup.page_bytes {
                Some(_) => backend.stream("cells", Element::U32, mine)?,
                None => backend.adopt("cells", Element::U32, mine)?,
            },
        });
    }
    Ok(chunks)
}
