//! Quantiles of the standard normal distribution.

/// The z with P(Z ≤ z) = p for a standard normal Z; 0 < p < 1.
///
/// Relative error about 10⁻¹⁶. Source: Wichura 1988, algorithm AS 241 (PPND16).
pub(super) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&CENTRE, 0.180_625 - q * q);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let z = if r <= 5.0 { ratio(&MIDDLE, r - 1.6) } else { ratio(&TAIL, r - 5.0) };
    z.copysign(q)
}

/// The |z| that a standard normal exceeds with probability 1 − level; 0 < level < 1.
pub(super) fn two_sided(level: f64) -> f64 {
    // From the tail, where a level close to 1 keeps its digits.
    -quantile((1.0 - level) / 2.0)
}

/// Coefficients of a rational function, lowest power first.
struct Rational {
    above: [f64; 8],
    below: [f64; 8],
}

fn ratio(rational: &Rational, x: f64) -> f64 {
    let polynomial = |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c);
    polynomial(&rational.above) / polynomial(&rational.below)
}

const CENTRE: Rational = Rational {
    above: [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    below: [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
};

const MIDDLE: Rational = Rational {
    above: [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    below: [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
};

const TAIL: Rational = Rational {
    above: [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    below: [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ(z) for z ≤ 0 by Simpson's rule on the density, from far out.
    fn phi(z: f64) -> f64 {
        let steps = 20_000;
        let (from, width) = (z - 12.0, 12.0 / f64::from(steps));
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let sum: f64 = (0..=steps)
            .map(|i| {
                let weight = if i == 0 || i == steps { 1.0 } else { [2.0, 4.0][i as usize % 2] };
                weight * density(from + width * f64::from(i))
            })
            .sum();
        sum * width / 3.0
    }

    #[test]
    fn the_distribution_takes_quantiles_back() {
        for p in [0.5, 0.4, 0.1, 0.075, 0.07, 0.05, 0.01, 1e-3, 1e-5, 1e-8, 1e-10, 1e-11, 1e-13, 5.6e-17] {
            let back = phi(quantile(p));
            assert!((back - p).abs() < 1e-11 * p, "{p}: {back}");
            if p > 1e-3 {
                assert!((quantile(1.0 - p) + quantile(p)).abs() < 1e-12, "{p}");
            }
        }
    }

    #[test]
    fn known_levels() {
        for (level, z) in
            [(0.5, 0.674_489_750_196_081_7), (0.9, 1.644_853_626_951_472_7), (0.95, 1.959_963_984_540_054)]
        {
            assert!((two_sided(level) - z).abs() < 1e-14, "{level}");
        }
        assert!(two_sided(f64::MIN_POSITIVE) < 1e-15 && two_sided(1.0 - f64::EPSILON / 2.0) > 8.0);
    }
}
