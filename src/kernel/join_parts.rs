//! The sums of rows from those of their parts, added up in the parts' order.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/join_parts.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "join_parts",
    wgsl: include_str!("../../shaders/join_parts.wgsl"),
    params: Params::FIELDS,
    bindings: &[Binding::read("parts", Element::F32), Binding::read_write("totals", Element::F32)],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `join_parts`.
    pub struct Params {
        /// Parts of a row.
        pub blocks: u32,
        /// Rows.
        pub rows: u32,
        /// Elements of a part.
        pub columns: u32,
        /// Those that keep their place.
        pub body: u32,
        /// Where the others stand from.
        pub tail: u32,
        /// Elements of a row of totals.
        pub stride: u32,
        /// The first row of totals.
        pub first: u32,
    }
}

/// The buffers of one call: `totals[(first + r)·stride + to(c)] = Σ_b parts[(b·rows + r)·columns + c]`,
/// from 0, in order; `to(c)` is c below `body`, else `tail + (c − body)`.
#[derive(Debug, Clone, Copy)]
pub struct JoinParts {
    /// What to add up, at least `[blocks, rows, columns]`.
    pub parts: Buffer,
    /// Receives the sums, at least `[first + rows, stride]`; other elements stay.
    pub totals: Buffer,
    /// Parts of a row.
    pub blocks: usize,
    /// Rows.
    pub rows: usize,
    /// Elements of a part.
    pub columns: usize,
    /// Those that keep their place.
    pub body: usize,
    /// Where the others stand from.
    pub tail: usize,
    /// Elements of a row of totals.
    pub stride: usize,
    /// The first row of totals.
    pub first: usize,
}

impl JoinParts {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let elements = self.rows * self.columns;
        require(&KERNEL, self.parts.len() >= self.blocks * elements, "the parts are too few")?;
        require(
            &KERNEL,
            self.totals.len() >= (self.first + self.rows) * self.stride,
            "the totals are too few",
        )?;
        require(&KERNEL, elements > 0 && self.body <= self.columns, "there is nothing to add up")?;
        // Where all keep their place, none stands from the tail on.
        let tail = if self.body == self.columns { self.body } else { self.tail };
        let ends = tail + (self.columns - self.body);
        require(
            &KERNEL,
            self.body <= tail && ends <= self.stride,
            "a part's elements exceed a row of totals",
        )?;
        dimension(&KERNEL, self.parts.len().max(self.totals.len()))?;
        let params = Params {
            blocks: dimension(&KERNEL, self.blocks)?,
            rows: dimension(&KERNEL, self.rows)?,
            columns: dimension(&KERNEL, self.columns)?,
            body: dimension(&KERNEL, self.body)?,
            tail: dimension(&KERNEL, tail)?,
            stride: dimension(&KERNEL, self.stride)?,
            first: dimension(&KERNEL, self.first)?,
        };
        let workgroups = elements.div_ceil(WORKGROUP as usize) as u64;
        Dispatch::new(&KERNEL, params, &[self.parts, self.totals], workgroups)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [parts, totals] = slots else { unreachable!("the dispatch was checked") };
    join_parts(&bytemuck::pod_read_unaligned(params), parts.f32(), totals.f32_mut());
}

/// The twin: rows in parallel.
pub fn join_parts(params: &Params, parts: &[f32], totals: &mut [f32]) {
    let (rows, columns) = (params.rows as usize, params.columns as usize);
    let (body, tail, stride) = (params.body as usize, params.tail as usize, params.stride as usize);
    let first = params.first as usize;
    let totals = &mut totals[first * stride..(first + rows) * stride];
    totals.par_chunks_mut(stride).with_min_len(64).enumerate().for_each(|(row, totals)| {
        let (head, rest) = totals.split_at_mut(body);
        let rest = &mut rest[tail - body..tail - body + (columns - body)];
        head.fill(0.0);
        rest.fill(0.0);
        for block in 0..params.blocks as usize {
            let start = (block * rows + row) * columns;
            let (mine, more) = parts[start..start + columns].split_at(body);
            for (total, part) in head.iter_mut().zip(mine).chain(rest.iter_mut().zip(more)) {
                *total += part;
            }
        }
    });
}
