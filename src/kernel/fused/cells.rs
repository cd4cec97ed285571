//! A row's cells, cut into blocks of the other side's rows.

/// The cells of a row that have not been met.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [[u32; 2]],
    block: u32,
}

impl<'a> Cursor<'a> {
    /// `block`: rows of the other side in a block, and a row's cells are sorted by them; 0: all are one.
    #[inline(always)]
    pub(super) fn new(cells: &'a [[u32; 2]], block: u32) -> Self {
        Self { rest: cells, block }
    }

    /// The next block that has cells, and all of them.
    #[inline(always)]
    pub(super) fn next_block(&mut self) -> Option<Block<'_, 'a>> {
        let &[column, _] = self.rest.first()?;
        let number = column.checked_div(self.block);
        let end = number.map_or(u32::MAX, |number| number.saturating_add(1).saturating_mul(self.block));
        Some(Block { rest: &mut self.rest, end })
    }
}

/// The cells of a block that have not been met.
#[derive(Debug)]
pub(super) struct Block<'c, 'a> {
    rest: &'c mut &'a [[u32; 2]],
    /// The other side's first row behind the block.
    end: u32,
}

impl<'a> Block<'_, 'a> {
    /// Cells of this block and of those behind it.
    #[inline(always)]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// All that have not been met: one at least, of a block that has just been found.
    #[inline(always)]
    pub(super) fn rest(self) -> &'a [[u32; 2]] {
        let (cells, behind) = (*self.rest, |&[column, _]: &[u32; 2]| column >= self.end);
        let mut count = cells.len();
        if cells.last().is_some_and(behind) {
            // Blocks of many users are short in most rows: steps that double find their end.
            let (mut from, mut step) = (1, 1);
            while !behind(&cells[from.min(cells.len() - 1)]) {
                from += step;
                step *= 2;
            }
            let below = from - step / 2;
            let above = from.min(cells.len() - 1);
            count = below + cells[below..above].partition_point(|cell| !behind(cell));
        }
        let (mine, rest) = cells.split_at(count);
        *self.rest = rest;
        mine
    }
}

impl Iterator for Block<'_, '_> {
    type Item = [u32; 2];

    #[inline(always)]
    fn next(&mut self) -> Option<[u32; 2]> {
        let (&cell, rest) = self.rest.split_first()?;
        if cell[0] >= self.end {
            return None;
        }
        *self.rest = rest;
        Some(cell)
    }
}
