//! How steep the loss gets: what methods with a learning rate take theirs from.

use super::Setup;
use crate::config::ModelKind;
use crate::data::{Known, Stats};

/// An upper estimate of the largest eigenvalue of the Hessian of `½ Σ e² + L2`
/// near a solution, for step sizes.
///
/// With ‖x_u‖² ≤ X_u on the user side and X_i on the item side, the Gauss-Newton
/// blocks of a user sum up to at most n_u·(X_i + √(X_u·X_i)), those of an item
/// to n_i·(X_u + √(X_u·X_i)) (Gershgorin). Descent from a small start keeps
/// UᵀU ≈ VᵀV, so that rows of the shorter side are longer: X_u·m ≈ X_i·n.
///
/// The bound is loose on real, skewed data, so a part of it is taken back: on
/// MovieLens the loss never rose at 4 times 1/bound and biased diverged from 7
/// to 9 times on; with one rating it diverges at 4 times, plain oscillates at 2.
pub(super) fn curvature(setup: &Setup<'_>, stats: &Stats, known: &Known) -> f64 {
    let Known { user_counts, item_counts } = known;
    // Of users elsewhere, the one who has most is enough: what a row adds grows with its count.
    let elsewhere = setup.share.map(|share| [share.longest_user]);
    let user_counts = elsewhere.as_ref().map_or(&user_counts[..], |longest| longest);
    let users = setup.share.map_or(user_counts.len(), |share| share.users);
    let (m, n) = (users as f64, item_counts.len() as f64);
    let (size, bias) = match setup.kind {
        // u·v must reach the ratings themselves: one direction carries their size.
        ModelKind::Plain => ((stats.mean * stats.mean + stats.std * stats.std).sqrt(), 0.0),
        ModelKind::Centered => (1.0, 0.0),
        ModelKind::Biased | ModelKind::Svdpp => (1.0, setup.bias_unit().powi(2)),
    };
    let (x_u, x_i) = (bias + size * (n / m).sqrt(), bias + size * (m / n).sqrt());
    let cross = (x_u * x_i).sqrt();
    // Scaled-up biases reach their bound: they are the same for all cells.
    let slack = match setup.kind {
        ModelKind::Plain => 1.5,
        _ if bias > 1.0 => 1.0,
        _ => 3.0,
    };
    // The penalty's curvature is exact, and not to be taken back.
    let row = |c: u64, x: f64| c as f64 * (x + cross) / slack + setup.reg_scaling.penalty(setup.reg, c);
    let most = |counts: &[u64], x: f64| counts.iter().map(|&c| row(c, x)).fold(0.0, f64::max);
    most(user_counts, x_i).max(most(item_counts, x_u))
}
