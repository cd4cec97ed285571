//! The kernels that find a row's sums in parts, which one process alone does not run.

use std::cmp::Reverse;

use crate::backend::{Backend, alloc_f32, alloc_u32};
use crate::data::Ratings;
use crate::error::Result;
use crate::kernel::fused::{Columns, Packing};
use crate::kernel::join_parts::JoinParts;
use crate::kernel::pack_rows::PackRows;
use crate::kernel::row_bend::RowBend;
use crate::kernel::row_part::{self, RowPart};
use crate::kernel::{Element, row_sums};

const RANK: usize = 16;
const BLOCKS: usize = 2;

/// Finds what the users' rows need of each half of the items, and adds it up.
pub(super) fn parts(ratings: &Ratings, backend: &mut dyn Backend) -> Result<()> {
    let (users, items, width) = (ratings.users.len(), ratings.items.len(), RANK + 2);
    let waves = |len: usize| (0..len).map(|e| (e as f32).sin()).collect::<Vec<f32>>();
    let columns = Columns { width, rank: RANK, bias: Some(RANK), unit: 1.0 };
    let lanes = RANK.next_multiple_of(backend.lanes());
    let packing = Packing { rows: items, lanes, spread: true, half: false };
    let packed = backend.alloc("packed factors", Element::U32, packing.len())?;
    let others = alloc_f32(backend, "factors", &waves(items * width))?;
    let squares: Vec<f32> = waves(items * width).iter().map(|x| x * x).collect();
    let variances = Some(alloc_f32(backend, "variances", &squares)?);
    let other_columns = Columns { bias: Some(RANK + 1), ..columns };
    let pack = PackRows { factors: others, variances, packed, packing, columns: other_columns };
    backend.dispatch(&[pack.dispatch()?])?;

    let factors = alloc_f32(backend, "factors", &waves(users * width))?;
    let stride = row_part::stride(width, true);
    let parts = backend.alloc("parts", Element::F32, BLOCKS * users * stride)?;
    let bends = backend.alloc("parts", Element::F32, BLOCKS * users)?;
    // As if the directions were there.
    let sums = alloc_f32(backend, "row sums", &waves(users * row_sums::stride(width)))?;
    let rated = ratings.by_user().0;
    let mut recording = Vec::new();
    let mut bent = Vec::new();
    for block in 0..BLOCKS {
        let (mut offsets, mut cells) = (vec![0u32], Vec::new());
        for user in 0..users {
            let row = rated.offsets[user] as usize..rated.offsets[user + 1] as usize;
            let mine = rated.columns[row].iter().filter(|&&item| item as usize * BLOCKS / items == block);
            cells.extend(mine.flat_map(|&item| [item, (item as f32).cos().to_bits()]));
            offsets.push(cells.len() as u32 / 2);
        }
        let count = |user: &u32| (offsets[*user as usize + 1] - offsets[*user as usize]) as usize;
        let mut order: Vec<u32> = (0..users as u32).collect();
        order.sort_by_key(|user| Reverse(count(user)));
        let long = order.partition_point(|user| count(user) >= backend.long_row());
        let rows: Vec<u32> = offsets.iter().chain(&order).copied().collect();
        // No buffer is empty.
        cells.resize(cells.len().max(2), 0);
        let (rows, cells) = (alloc_u32(backend, "rows", &rows)?, alloc_u32(backend, "cells", &cells)?);
        let (first, place) = (0, block * users);
        let part = RowPart { rows, cells, packed, factors, parts, first, place, long, packing, columns };
        recording.push(part.dispatch()?);
        let bend = RowBend { rows, cells, packed, sums, parts: bends, first, place, long, packing, columns };
        bent.push(bend.dispatch()?);
    }
    recording.extend(bent);
    let (body, tail) = (3 * width, 4 * width);
    let join = |parts, columns, body, tail| {
        let (blocks, rows, totals, stride) = (BLOCKS, users, sums, row_sums::stride(width));
        JoinParts { parts, totals, blocks, rows, columns, body, tail, stride, first: 0 }.dispatch()
    };
    recording.push(join(parts, stride, body, tail)?);
    recording.push(join(bends, 1, 0, tail + 1)?);
    backend.dispatch(&recording)
}
