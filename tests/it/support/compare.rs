//! The comparator, and every tolerance with its reason.

/// U and V after up to 50 epochs at a stable rate, on any two of GPU, CPU and
/// f64 reference. Measured: below 1e-6; f32 rounding of sums of a few hundred
/// products, carried through 50 updates.
pub const FACTORS: f64 = 1e-5;

/// One kernel call on values of size 1: rounding of an f32 sum, relative to
/// the sum of the terms' sizes.
pub const ONE_SUM: f64 = 2e-6;

/// Why two arrays don't agree.
pub fn difference(actual: &[f32], expected: &[f64], tolerance: f64) -> Result<f64, String> {
    if actual.len() != expected.len() {
        return Err(format!("{} elements for {}", actual.len(), expected.len()));
    }
    if let Some(i) = actual.iter().position(|x| !x.is_finite()) {
        return Err(format!("element {i} is {}", actual[i]));
    }
    if let Some(i) = expected.iter().position(|x| !x.is_finite()) {
        return Err(format!("expected element {i} is {}", expected[i]));
    }
    if actual.iter().all(|&x| x == 0.0) && expected.iter().any(|&x| x.abs() > tolerance) {
        return Err("every element is 0".to_owned());
    }
    let distance = |i: usize| (f64::from(actual[i]) - expected[i]).abs();
    let Some(worst) = (0..actual.len()).max_by(|&a, &b| distance(a).total_cmp(&distance(b))) else {
        return Ok(0.0);
    };
    let outside = (0..actual.len()).filter(|&i| distance(i) > tolerance).count();
    if outside > 0 {
        return Err(format!(
            "{outside} of {} elements differ by more than {tolerance:e}; the worst is {worst}: {} for {}, by {:e}",
            actual.len(),
            actual[worst],
            expected[worst],
            distance(worst),
        ));
    }
    Ok(distance(worst))
}

/// Fails unless the arrays agree.
#[track_caller]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    if let Err(why) = difference(actual, expected, tolerance) {
        panic!("{what}: {why}");
    }
}

/// The same for two f32 arrays.
#[track_caller]
pub fn assert_close_f32(what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
    let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
    assert_close(what, actual, &expected, tolerance);
}

#[test]
fn the_comparator_sees_one_wrong_element() {
    let expected: Vec<f64> = (1..100).map(f64::from).collect();
    let good: Vec<f32> = expected.iter().map(|&x| x as f32).collect();
    assert_eq!(difference(&good, &expected, 1e-5), Ok(0.0));
    for i in [0, 50, 98] {
        let mut bad = good.clone();
        bad[i] += 1e-3;
        let why = difference(&bad, &expected, 1e-5).unwrap_err();
        assert!(why.contains("1 of 99") && why.contains(&format!("worst is {i}:")), "{why}");
    }
}

#[test]
fn the_comparator_refuses_what_can_hide_an_error() {
    assert!(difference(&[f32::NAN], &[0.0], 1.0).is_err());
    assert!(difference(&[0.0], &[f64::NAN], 1.0).is_err());
    assert!(difference(&[f32::INFINITY], &[f64::INFINITY], 1.0).is_err());
    assert!(difference(&[1.0, 2.0], &[1.0], 1.0).is_err());
    assert!(difference(&[0.0, 0.0], &[0.0, 0.5], 0.1).is_err());
    assert!(difference(&[], &[], 0.0).is_ok());
}
