//! Sums that the compiler vectorises: eight accumulators side by side, added
//! up in a fixed order, so that the bits depend on the data alone.

const LANES: usize = 8;

/// `Σ a[f]·b[f]`; the slices are equally long.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// `Σ a[f]`.
pub(super) fn sum(a: &[f32]) -> f32 {
    let (blocks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for x in blocks {
        for lane in 0..LANES {
            sums[lane] += x[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// `Σ a·b`, `Σ a²` and `Σ b²`; the slices are equally long.
pub(super) fn products(a: &[f32], b: &[f32]) -> [f32; 3] {
    [dot(a, b), dot(a, a), dot(b, b)]
}

/// `a ← a + s·(e·b − λ·a)` and `b ← b + t·(e·a − μ·b)`, both from the old
/// values; `(s, λ)` and `(t, μ)` are given, the slices are equally long.
pub(super) fn step_both(a: &mut [f32], b: &mut [f32], e: f32, own: (f32, f32), other: (f32, f32)) {
    for (a, b) in a.iter_mut().zip(b) {
        let (x, y) = (*a, *b);
        *a = x + own.0 * (e * y - own.1 * x);
        *b = y + other.0 * (e * x - other.1 * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_of_any_length_is_the_sum_of_products() {
        for n in 0..40usize {
            let a: Vec<f32> = (0..n).map(|i| i as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| 2.0 * i as f32 + 1.0).collect();
            let expected: f32 = (0..n as i64).map(|i| ((i - 3) * (2 * i + 1)) as f32).sum();
            assert_eq!(dot(&a, &b), expected, "length {n}");
            assert_eq!(sum(&a), a.iter().sum::<f32>(), "length {n}");
        }
    }

    #[test]
    fn products_of_any_length_are_the_three_sums() {
        for n in 0..40usize {
            let a: Vec<f32> = (0..n).map(|i| i as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| 2.0 * i as f32 + 1.0).collect();
            assert_eq!(products(&a, &b), [dot(&a, &b), dot(&a, &a), dot(&b, &b)], "length {n}");
        }
    }

    #[test]
    fn both_step_from_the_old_values() {
        for n in 0..40usize {
            let a: Vec<f32> = (0..n).map(|i| i as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| 2.0 * i as f32 + 1.0).collect();
            let (mut x, mut y) = (a.clone(), b.clone());
            step_both(&mut x, &mut y, 3.0, (0.5, 2.0), (0.25, 4.0));
            for i in 0..n {
                assert_eq!(x[i], a[i] + 0.5 * (3.0 * b[i] - 2.0 * a[i]), "length {n}");
                assert_eq!(y[i], b[i] + 0.25 * (3.0 * a[i] - 4.0 * b[i]), "length {n}");
            }
        }
    }
}
