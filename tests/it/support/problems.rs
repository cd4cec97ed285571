//! Random ratings of every awkward shape.

use deltav::data::{IdMap, Ids, Ratings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::oracle::Dense;

/// Ratings with the shape's name.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: &'static str,
    pub ratings: Ratings,
}

pub fn ids(prefix: &str, count: usize) -> Ids {
    let mut map = IdMap::new();
    for i in 0..count {
        map.get_or_insert(format!("{prefix}{i}").as_bytes()).unwrap();
    }
    map.into_ids()
}

/// Ratings from cells; values are multiples of ½ from 0.5 to 5.
pub fn from_cells(m: usize, n: usize, cells: &[(usize, usize)], seed: u64) -> Ratings {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Ratings {
        users: ids("u", m),
        items: ids("i", n),
        user: cells.iter().map(|c| c.0 as u32).collect(),
        item: cells.iter().map(|c| c.1 as u32).collect(),
        value: cells.iter().map(|_| rng.random_range(1..=10) as f32 / 2.0).collect(),
        time: None,
    }
}

/// Each cell with this probability, in shuffled order.
pub fn random(m: usize, n: usize, density: f64, seed: u64) -> Ratings {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    let mut cells = Vec::new();
    for i in 0..m {
        for j in 0..n {
            if rng.random_bool(density) {
                let place = rng.random_range(0..=cells.len());
                cells.push((i, j));
                let last = cells.len() - 1;
                cells.swap(place, last);
            }
        }
    }
    if cells.is_empty() {
        cells.push((m - 1, n - 1));
    }
    from_cells(m, n, &cells, seed)
}

/// The shapes that break kernels.
pub fn awkward() -> Vec<Case> {
    let case = |name, ratings| Case { name, ratings };
    let without = |m: usize, n: usize, skip: &dyn Fn(usize, usize) -> bool| {
        let all = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        let cells: Vec<_> = all.filter(|&(i, j)| !skip(i, j) && (i * 7 + j * 3) % 4 != 0).collect();
        from_cells(m, n, &cells, 5)
    };
    // Row 0 holds half of all ratings, and more than a workgroup's 64 lanes.
    let heavy: Vec<_> =
        (0..300).map(|j| (0, j)).chain((0..300).map(|p| (1 + p % 39, (p * 11) % 300))).collect();
    vec![
        case("one rating", from_cells(1, 1, &[(0, 0)], 1)),
        case("one row", random(1, 200, 0.9, 2)),
        case("one column", random(200, 1, 0.9, 3)),
        case("empty rows", without(9, 12, &|i, _| i == 0 || i == 4 || i == 8)),
        case("empty columns", without(12, 9, &|_, j| j == 0 || j == 5 || j == 8)),
        case("half of all ratings in a row", from_cells(40, 300, &heavy, 4)),
        case(
            "half of all ratings in a column",
            from_cells(300, 40, &heavy.iter().map(|&(i, j)| (j, i)).collect::<Vec<_>>(), 4),
        ),
        case("random", random(37, 53, 0.15, 6)),
        case("full", random(20, 30, 1.0, 7)),
    ]
}

/// The same ratings as tables, `(r − mean) / scale`.
pub fn dense(ratings: &Ratings, mean: f64, scale: f64) -> Dense {
    let (m, n) = (ratings.users.len(), ratings.items.len());
    let mut dense = Dense { m, n, y: vec![vec![0.0; n]; m], r: vec![vec![false; n]; m] };
    for p in 0..ratings.value.len() {
        let (i, j) = (ratings.user[p] as usize, ratings.item[p] as usize);
        assert!(!dense.r[i][j], "a cell twice");
        dense.y[i][j] = (f64::from(ratings.value[p]) - mean) / scale;
        dense.r[i][j] = true;
    }
    dense
}
