//! A row's line search but for its cells, for the fused twins and for those of `row_direction` and
//! `row_step`: written once, so that both give the same bits.
//!
//! Factors stand in lanes; of the two columns behind them each is a [`Column`]. `FIXED`: the
//! precision ρ is the row's penalty; else each column has its prior's. `SPREAD`: there are
//! variances of the other side, and prior means; where S2 and the means are 0, the bits are those
//! without.

use crate::kernel::simd::{self, Simd};

/// A column behind the factors, the bias or the constant one; all 0 where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::kernel) struct Column {
    /// w.
    pub(in crate::kernel) w: f32,
    /// Its prior mean m.
    pub(in crate::kernel) mean: f32,
    /// Σ e·x.
    pub(in crate::kernel) g: f32,
    /// Σ x².
    pub(in crate::kernel) s1: f32,
    /// Σ t.
    pub(in crate::kernel) s2: f32,
    /// ρ.
    pub(in crate::kernel) rho: f32,
}

impl Column {
    /// H.
    #[inline(always)]
    fn curvature(&self) -> f32 {
        self.s1 + self.s2 + self.rho
    }

    /// The direction and the variance.
    #[inline(always)]
    pub(in crate::kernel) fn direction(&self, noise: f32) -> (f32, f32) {
        let h = self.curvature();
        if h > 0.0 {
            ((self.g - self.s2 * self.w - self.rho * (self.w - self.mean)) / h, noise / h)
        } else {
            (0.0, 0.0)
        }
    }
}

/// Rows that one thread takes at a time where cells are not walked.
pub(in crate::kernel) const PIECE: usize = 64;

/// Where a matrix' columns behind its factors stand.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Behind {
    /// Columns that are factors.
    pub(in crate::kernel) rank: usize,
    /// The bias.
    pub(in crate::kernel) bias: Option<usize>,
    /// The constant column.
    pub(in crate::kernel) constant: Option<usize>,
}

impl Behind {
    /// `constant`: one of the last two columns, or `width` and beyond: there is none, and no bias.
    pub(in crate::kernel) fn new(width: usize, constant: usize) -> Self {
        if constant >= width {
            return Self { rank: width, bias: None, constant: None };
        }
        Self { rank: width - 2, bias: Some(2 * width - 3 - constant), constant: Some(constant) }
    }

    /// The prior's precision of the factors in lanes; 1 beyond them, where nothing is.
    pub(in crate::kernel) fn precision(&self, prior: &[f32]) -> Vec<f32> {
        let mut precision = vec![1.0; self.rank.next_multiple_of(simd::LANES)];
        precision[..self.rank].copy_from_slice(&prior[..self.rank]);
        precision
    }

    /// What is known of one of the two columns: `sums` as `row_sums` has them, and the row's matrices.
    #[inline(always)]
    pub(in crate::kernel) fn column(
        &self,
        f: Option<usize>,
        sums: &[f32],
        factors: &[f32],
        means: Option<&[f32]>,
        rho: impl Fn(usize) -> f32,
    ) -> Column {
        let (Some(f), width) = (f, factors.len()) else { return Column::default() };
        let mean = means.map_or(0.0, |means| means[f]);
        let (g, s1, s2) = (sums[f], sums[width + f], sums[2 * width + f]);
        Column { w: factors[f], mean, g, s1, s2, rho: rho(f) }
    }
}

/// The columns that are factors, `[lanes]` each.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Factors<'a> {
    /// w.
    pub(in crate::kernel) w: &'a [f32],
    /// m; where there are variances.
    pub(in crate::kernel) means: &'a [f32],
    /// Σ e·x, Σ x² and, where there are variances, Σ t: `[2 or 3, lanes]`.
    pub(in crate::kernel) sums: &'a [f32],
    /// ρ of all, where it is fixed.
    pub(in crate::kernel) penalty: f32,
    /// ρ of each, where it is not; 1 beyond the rank.
    pub(in crate::kernel) prior: &'a [f32],
}

impl<'a> Factors<'a> {
    #[inline(always)]
    fn plane<S: Simd>(&self, plane: usize) -> &'a [S::f32s] {
        let lanes = self.w.len();
        simd::vectors::<S>(&self.sums[plane * lanes..(plane + 1) * lanes])
    }
}

/// Sums over the factors along a direction, lane by lane.
#[derive(Debug)]
pub(in crate::kernel) struct Along<S: Simd> {
    /// Σ H·d².
    above: S::f32s,
    /// Σ d² where ρ is fixed, else Σ (S2 + ρ)·d².
    below: S::f32s,
    /// Σ S2·d² where ρ is fixed.
    spread: S::f32s,
}

impl<S: Simd> Along<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        let zero = simd.splat_f32s(0.0);
        Self { above: zero, below: zero, spread: zero }
    }

    #[inline(always)]
    fn add<const FIXED: bool, const SPREAD: bool>(
        &mut self,
        simd: S,
        h: S::f32s,
        s2: S::f32s,
        rho: S::f32s,
        d: S::f32s,
    ) {
        let squared = simd.mul_f32s(d, d);
        self.above = simd.mul_add_f32s(h, squared, self.above);
        if !FIXED {
            self.below = simd.mul_add_f32s(simd.add_f32s(s2, rho), squared, self.below);
            return;
        }
        self.below = simd.add_f32s(self.below, squared);
        if SPREAD {
            self.spread = simd.mul_add_f32s(s2, squared, self.spread);
        }
    }

    /// The step to the minimum: α = Σ H·d² / (Σ (x·d)² + Σ (S2 + ρ)·d²), of all columns.
    ///
    /// `squares`: Σ (x·d)²; the columns come with their directions.
    #[inline(always)]
    pub(in crate::kernel) fn alpha<const FIXED: bool, const SPREAD: bool>(
        &self,
        simd: S,
        squares: f32,
        penalty: f32,
        (bias, d_bias): (&Column, f32),
        (constant, d_constant): (&Column, f32),
    ) -> f32 {
        let mut above = simd.reduce_sum_f32s(self.above) + bias.curvature() * d_bias * d_bias;
        let mut curvature = squares;
        if FIXED {
            curvature += penalty * (simd.reduce_sum_f32s(self.below) + d_bias * d_bias);
            if SPREAD {
                curvature += simd.reduce_sum_f32s(self.spread) + bias.s2 * d_bias * d_bias;
            }
        } else {
            curvature = curvature + simd.reduce_sum_f32s(self.below) + (bias.s2 + bias.rho) * d_bias * d_bias;
        }
        if SPREAD {
            above += constant.curvature() * d_constant * d_constant;
            curvature += (constant.s2 + constant.rho) * d_constant * d_constant;
        }
        if curvature > 0.0 { above / curvature } else { 0.0 }
    }
}

/// Sums over the factors before the step, lane by lane.
#[derive(Debug)]
pub(in crate::kernel) struct Before<S: Simd> {
    /// Σ w² where ρ is fixed, else Σ (noise/H · (S1 + S2) + w²·S2).
    own: S::f32s,
    /// Σ w²·S2 where ρ is fixed.
    spread: S::f32s,
}

impl<S: Simd> Before<S> {
    /// What the energy is beside Σ e²: the penalty, or what variances add to E[e²].
    ///
    /// The bias comes with its variance.
    #[inline(always)]
    pub(in crate::kernel) fn energy<const FIXED: bool, const SPREAD: bool>(
        &self,
        simd: S,
        penalty: f32,
        (bias, variance): (&Column, f32),
        constant: &Column,
    ) -> f32 {
        let own = simd.reduce_sum_f32s(self.own);
        let spread = |column: &Column| if SPREAD { column.w * column.w * column.s2 } else { 0.0 };
        if FIXED {
            let own = penalty * (own + bias.w * bias.w);
            if !SPREAD {
                return own;
            }
            return own + (simd.reduce_sum_f32s(self.spread) + spread(bias) + spread(constant));
        }
        own + variance * (bias.s1 + bias.s2) + spread(bias) + spread(constant)
    }
}

/// The factors' direction d and, with `SPREAD`, variances:
///
/// `H = S1 + S2 + ρ;  d = (Σ e·x − S2·w − ρ·(w − m)) / H;  variance = noise / H`
#[inline(always)]
pub(in crate::kernel) fn direction<S: Simd, const FIXED: bool, const SPREAD: bool>(
    simd: S,
    factors: &Factors<'_>,
    noise: f32,
    d: &mut [f32],
    variances: &mut [f32],
) -> (Along<S>, Before<S>) {
    let (zero, noises, penalty) =
        (simd.splat_f32s(0.0), simd.splat_f32s(noise), simd.splat_f32s(factors.penalty));
    let (mut along, mut before) = (Along::new(simd), Before { own: zero, spread: zero });
    let ws = simd::vectors::<S>(factors.w);
    let (g, s1) = (factors.plane::<S>(0), factors.plane::<S>(1));
    let s2 = if SPREAD { factors.plane::<S>(2) } else { s1 };
    let means = if SPREAD { simd::vectors::<S>(factors.means) } else { ws };
    let prior = if FIXED { ws } else { simd::vectors::<S>(factors.prior) };
    let directions = S::as_mut_simd_f32s(d).0;
    let variances = S::as_mut_simd_f32s(variances).0;
    for i in 0..ws.len() {
        let w = ws[i];
        let rho = if FIXED { penalty } else { prior[i] };
        let s2 = if SPREAD { s2[i] } else { zero };
        let data = if SPREAD { simd.add_f32s(s1[i], s2) } else { s1[i] };
        let h = simd.add_f32s(data, rho);
        let pull = if SPREAD {
            simd.mul_add_f32s(s2, w, simd.mul_f32s(rho, simd.sub_f32s(w, means[i])))
        } else {
            simd.mul_f32s(rho, w)
        };
        let step = simd.div_f32s(simd.sub_f32s(g[i], pull), h);
        let positive = simd.greater_than_f32s(h, zero);
        let step = simd.select_f32s(positive, step, zero);
        directions[i] = step;
        along.add::<FIXED, SPREAD>(simd, h, s2, rho, step);
        let mut variance = zero;
        if SPREAD {
            variance = simd.select_f32s(positive, simd.div_f32s(noises, h), zero);
            variances[i] = variance;
        }
        if FIXED {
            before.own = simd.mul_add_f32s(w, w, before.own);
            if SPREAD {
                before.spread = simd.mul_add_f32s(simd.mul_f32s(w, w), s2, before.spread);
            }
        } else {
            before.own = simd.mul_add_f32s(variance, data, before.own);
            before.own = simd.mul_add_f32s(simd.mul_f32s(w, w), s2, before.own);
        }
    }
    (along, before)
}

/// The sums along a direction that stands there.
#[inline(always)]
pub(in crate::kernel) fn along<S: Simd, const FIXED: bool>(
    simd: S,
    factors: &Factors<'_>,
    d: &[f32],
) -> Along<S> {
    let penalty = simd.splat_f32s(factors.penalty);
    let (s1, s2) = (factors.plane::<S>(1), factors.plane::<S>(2));
    let prior = if FIXED { s1 } else { simd::vectors::<S>(factors.prior) };
    let mut along = Along::new(simd);
    for (i, &d) in simd::vectors::<S>(d).iter().enumerate() {
        let rho = if FIXED { penalty } else { prior[i] };
        let h = simd.add_f32s(simd.add_f32s(s1[i], s2[i]), rho);
        along.add::<FIXED, true>(simd, h, s2[i], rho, d);
    }
    along
}

/// The step `w ← w + α·d` of the factors; gives Σ w² where ρ is fixed, else Σ ρ·w², of what they are then.
#[inline(always)]
pub(in crate::kernel) fn step<S: Simd, const FIXED: bool>(
    simd: S,
    alpha: f32,
    d: &[f32],
    prior: &[f32],
    w: &mut [f32],
) -> f32 {
    let alphas = simd.splat_f32s(alpha);
    let d = simd::vectors::<S>(d);
    let prior = if FIXED { d } else { simd::vectors::<S>(prior) };
    let mut size = simd.splat_f32s(0.0);
    for (i, w) in S::as_mut_simd_f32s(w).0.iter_mut().enumerate() {
        *w = simd.mul_add_f32s(alphas, d[i], *w);
        let scaled = if FIXED { *w } else { simd.mul_f32s(prior[i], *w) };
        size = simd.mul_add_f32s(scaled, *w, size);
    }
    simd.reduce_sum_f32s(size)
}
