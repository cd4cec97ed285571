//! Prior means from who rated what (SVD++'s idea, on either side): a row's
//! factors have the prior N(M, p), `M = n^(−½) Σ_{i∈R(row)} y_i`, y ~ N(0, p⁰).
//!
//! After each step of the rows, one gradient step on Y, exact for each factor:
//!
//! ```text
//! g_i = Σ_{row∈R(i)} n_row^(−½)·(w − M)/p − y_i/p⁰;  d_i = g_i / (n_i/p + 1/p⁰)
//! Md_row = n_row^(−½) Σ_{i∈R(row)} d_i;  α = Σ g·d / (Σ Md²/p + Σ d²/p⁰)
//! Y += α·d;  M += α·Md
//! ```
//!
//! The mask is the training ratings' alone. Source: Koren 2008 (SVD++).

use std::ops::Range;

use crate::backend::{Backend, Buffer, read_f32};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::mask_alpha::MaskAlpha;
use crate::kernel::mask_direction::{MaskDirection, blocks};
use crate::kernel::mask_residual::MaskResidual;
use crate::kernel::mask_squares::MaskSquares;
use crate::kernel::mask_step::MaskStep;
use crate::kernel::pattern_sum::PatternSum;
use crate::kernel::{Dispatch, Element};
use crate::problem::{Problem, read_shards};

/// The mask's factors of one side's prior means.
#[derive(Debug)]
pub(super) struct Mask {
    /// Per shard of the side: M, `[rows, width]`.
    means: Vec<Buffer>,
    /// Per shard of the side: weighted residuals, then sums of directions, `[rows, width]`.
    scratch: Vec<Buffer>,
    /// Per shard of the other side: Y, `[rows, width]`.
    factors: Vec<Buffer>,
    /// Per shard of the other side: the direction of Y, `[rows, width]`.
    directions: Vec<Buffer>,
    /// 1/p⁰, `[width]`.
    inverse_width: Buffer,
    /// Partial sums of the directions, `[blocks, 2, width]`.
    direction_sums: Buffer,
    /// Partial sums of the squares, `[blocks, width]`.
    square_sums: Buffer,
    /// The step of each factor, `[width]`.
    alphas: Buffer,
}

impl Mask {
    /// Those of users' and of items' prior means. What one needs within a step, the other has for its own.
    pub(super) fn both(problem: &Problem, backend: &mut dyn Backend) -> Result<[Self; 2]> {
        let scratch = Self::matrices(problem, Side::Users, "mask scratch", backend)?;
        let directions = Self::matrices(problem, Side::Items, "mask scratch", backend)?;
        Ok([
            Self::new(problem, Side::Users, [scratch.clone(), directions.clone()], backend)?,
            Self::new(problem, Side::Items, [directions, scratch], backend)?,
        ])
    }

    fn matrices(
        problem: &Problem,
        role: Side,
        purpose: &str,
        backend: &mut dyn Backend,
    ) -> Result<Vec<Buffer>> {
        let shards = problem.side(role).shards.iter();
        shards.map(|shard| backend.alloc(purpose, Element::F32, shard.rows() * problem.width)).collect()
    }

    fn new(
        problem: &Problem,
        role: Side,
        [scratch, directions]: [Vec<Buffer>; 2],
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let width = problem.width;
        let means = Self::matrices(problem, role, "prior means", backend)?;
        let factors = Self::matrices(problem, role.other(), "mask factors", backend)?;
        let count = |role: Side| problem.places(role).total;
        Ok(Self {
            means,
            scratch,
            factors,
            directions,
            inverse_width: backend.alloc("mask prior", Element::F32, width)?,
            direction_sums: backend.alloc("mask sums", Element::F32, 2 * width * count(role.other()))?,
            square_sums: backend.alloc("mask sums", Element::F32, width * count(role))?,
            alphas: backend.alloc("mask steps", Element::F32, width)?,
        })
    }

    pub(super) fn means(&self) -> &[Buffer] {
        &self.means
    }

    /// The buffers of Y.
    pub(super) fn buffers(&self) -> &[Buffer] {
        &self.factors
    }

    /// The buffer of 1/p⁰.
    pub(super) fn inverse_width(&self) -> Buffer {
        self.inverse_width
    }

    /// Y of a role's prior means: a row each of the other side, `[rows, rank]`.
    pub(super) fn factors(
        &self,
        problem: &Problem,
        role: Side,
        backend: &mut dyn Backend,
    ) -> Result<Vec<f32>> {
        let wide = read_shards(self.factors.iter().copied(), backend)?;
        Ok(problem.split_bias(role.other(), wide).0)
    }

    /// p⁰ of columns = the side's prior variances as they are; it stays.
    pub(super) fn start(
        &self,
        priors: &[f64],
        columns: Range<usize>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let mut inverse = read_f32(backend, self.inverse_width)?;
        let begun = inverse.iter_mut().zip(priors).take(columns.end).skip(columns.start);
        begun.for_each(|(to, p)| *to = (1.0 / p) as f32);
        backend.write(self.inverse_width, bytemuck::cast_slice(&inverse))
    }

    /// Records the step on Y that follows the rows' step.
    ///
    /// `rank`: factors that there are yet; `prior`: the buffer of ρ, and σ².
    pub(super) fn record(
        &self,
        problem: &Problem,
        role: Side,
        rank: usize,
        (prior, noise): (Buffer, f32),
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let width = problem.width;
        let (own, other) = (problem.side(role), problem.side(role.other()));
        for (i, shard) in own.shards.iter().enumerate() {
            let call = MaskResidual {
                factors: shard.factors,
                means: self.means[i],
                counts: shard.counts,
                prior,
                residuals: self.scratch[i],
                width,
                rank,
                noise,
            };
            recording.push(call.dispatch()?);
        }
        self.gather(problem, (role.other(), rank), &self.scratch, &self.directions, recording)?;
        let places = problem.places(role.other());
        let mut first = places.first;
        for (i, shard) in other.shards.iter().enumerate() {
            let call = MaskDirection {
                mask_factors: self.factors[i],
                counts: shard.counts,
                prior,
                inverse_width: self.inverse_width,
                sums: self.directions[i],
                partials: self.direction_sums,
                width,
                rank,
                noise,
                first,
            };
            recording.push(places.gathered(call.dispatch()?, self.direction_sums, 0, 2 * width));
            first += blocks(shard.rows());
        }
        self.gather(problem, (role, rank), &self.directions, &self.scratch, recording)?;
        let places = problem.places(role);
        let mut first = places.first;
        for (i, shard) in own.shards.iter().enumerate() {
            let call = MaskSquares {
                sums: self.scratch[i],
                counts: shard.counts,
                prior,
                partials: self.square_sums,
                width,
                noise,
                first,
            };
            recording.push(places.gathered(call.dispatch()?, self.square_sums, 0, width));
            first += blocks(shard.rows());
        }
        let alphas = self.alphas;
        let call = MaskAlpha { directions: self.direction_sums, squares: self.square_sums, alphas };
        recording.push(call.dispatch()?);
        let step =
            |directions: &[Buffer], values: &[Buffer], shards: &[crate::problem::Shard], means: bool| {
                let each = directions.iter().zip(values).zip(shards);
                each.map(|((&directions, &values), shard)| {
                    MaskStep { directions, alphas, counts: shard.counts, values, means }.dispatch()
                })
                .collect::<Result<Vec<_>>>()
            };
        recording.extend(step(&self.directions, &self.factors, &other.shards, false)?);
        recording.extend(step(&self.scratch, &self.means, &own.shards, true)?);
        Ok(())
    }

    /// Sums over the mask, from one side's matrices to the rows of `to`.
    fn gather(
        &self,
        problem: &Problem,
        (to, rank): (Side, usize),
        factors: &[Buffer],
        sums: &[Buffer],
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        if problem.chunks(to).is_some() {
            return problem.record_pattern(to, rank, factors[0], sums[0], recording);
        }
        for view in problem.views(to) {
            let call = PatternSum {
                offsets: view.offsets,
                columns: view.columns,
                factors: factors[view.other_shard],
                sums: sums[view.shard],
                width: problem.width,
                accumulate: view.accumulate,
            };
            recording.push(call.dispatch()?);
        }
        Ok(())
    }
}
