//! The kernel of the best items against a full sort in f64, on every device.

use deltav::backend::{Backend, alloc_f32, alloc_u32, read_f32};
use deltav::kernel::Element;
use deltav::kernel::best_items::{BestItems, GROUP, LOWEST, NONE, PANEL, panel_loops, place_row};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::compare::ONE_SUM;
use crate::support::devices;
use crate::support::inputs::uniform;

/// Users and items as plain rows, and what each user has seen.
struct Case {
    width: usize,
    u: Vec<f32>,
    v: Vec<f32>,
    seen: Vec<Vec<u32>>,
}

impl Case {
    fn new(users: usize, items: usize, width: usize, seed: u64, values: impl Fn(f32) -> f32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |n: usize| -> Vec<f32> { uniform(&mut rng, n).into_iter().map(&values).collect() };
        let (u, v) = (draw(users * width), draw(items * width));
        // Every third user has seen nothing, the last one everything.
        let seen = (0..users)
            .map(|user| match user {
                _ if user + 1 == users => (0..items as u32).collect(),
                _ if user % 3 == 0 => Vec::new(),
                _ => (0..items as u32).filter(|_| rng.random_bool(0.2)).collect(),
            })
            .collect();
        Self { width, u, v, seen }
    }

    fn users(&self) -> usize {
        self.u.len() / self.width
    }

    fn items(&self) -> usize {
        self.v.len() / self.width
    }

    fn score(&self, user: usize, item: usize) -> f64 {
        let (u, v) = (&self.u[user * self.width..], &self.v[item * self.width..]);
        (0..self.width).fold(0.0, |sum, f| sum + f64::from(u[f]) * f64::from(v[f]))
    }

    /// All that a user has not seen: greatest score first, lowest position first of equals.
    fn sorted(&self, user: usize) -> Vec<(f64, u32)> {
        let items = (0..self.items() as u32).filter(|item| !self.seen[user].contains(item));
        let mut all: Vec<(f64, u32)> = items.map(|item| (self.score(user, item as usize), item)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all
    }

    /// The kernel's lists, from two shards of items cut after `cut` panels, `step` panels a call.
    fn lists(&self, backend: &mut dyn Backend, keep: usize, cut: usize, step: usize) -> Vec<Vec<(f32, u32)>> {
        let (users, items, width) = (self.users(), self.items(), self.width);
        let mut rows = vec![0.0; users.next_multiple_of(GROUP) * width];
        for (user, row) in self.u.chunks(width).enumerate() {
            place_row::<GROUP>(&mut rows, width, user, row.iter().copied());
        }
        let ends: Vec<u32> = self
            .seen
            .iter()
            .scan(0, |n, row| {
                *n += row.len() as u32;
                Some(*n)
            })
            .collect();
        let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
        let mut seen = self.seen.concat();
        seen.push(0);
        // Rubbish in the lists shows whether the first call empties them.
        let lists = alloc_f32(backend, "scores", &vec![9e9; users * keep]).unwrap();
        let places = alloc_u32(backend, "items", &vec![7; users * keep]).unwrap();
        let user_factors = alloc_f32(backend, "users", &rows).unwrap();
        let seen_offsets = alloc_u32(backend, "offsets", &offsets).unwrap();
        let seen = alloc_u32(backend, "seen", &seen).unwrap();
        let mut recording = Vec::new();
        for base in [0, cut * PANEL] {
            let end = if base == 0 { items.min(cut * PANEL) } else { items };
            if base >= end {
                continue;
            }
            let panels = (end - base).div_ceil(PANEL);
            // Padding that would win if it counted.
            let mut packed = vec![99.0; panels * PANEL * width];
            for item in base..end {
                let row = self.v[item * width..(item + 1) * width].iter().copied();
                place_row::<PANEL>(&mut packed, width, item - base, row);
            }
            let item_factors = alloc_f32(backend, "items", &packed).unwrap();
            for first in (0..panels).step_by(step) {
                let call = BestItems {
                    user_factors,
                    item_factors,
                    seen_offsets,
                    seen,
                    scores: lists,
                    items: places,
                    users,
                    width,
                    first,
                    panels: step.min(panels - first),
                    base,
                    count: end - base,
                    keep,
                    fresh: base == 0 && first == 0,
                };
                recording.push(call.dispatch().unwrap());
            }
        }
        backend.dispatch(&recording).unwrap();
        let scores = read_f32(backend, lists).unwrap();
        let mut items = vec![0; users * keep];
        backend.read(places, &mut items).unwrap();
        scores
            .chunks(keep)
            .zip(items.chunks(keep))
            .map(|(s, i)| s.iter().copied().zip(i.iter().copied()).collect())
            .collect()
    }
}

/// Small integers: sums are exact in f32, and most of them are ties.
#[test]
fn lists_of_exact_scores_are_those_of_a_full_sort() {
    for (users, items, width) in [(1, 1, 1), (5, 63, 1), (9, 64, 3), (4, 200, 4), (6, 333, 33), (7, 700, 130)]
    {
        let case = Case::new(users, items, width, items as u64, |x| (3.0 * x).round());
        for keep in [1, 2, 26, 64, 65, 400] {
            for (cut, step) in [(1, 1), (2, 3), (99, 99)] {
                for (device, mut backend) in devices::all() {
                    let lists = case.lists(&mut *backend, keep, cut, step);
                    for (user, list) in lists.iter().enumerate() {
                        let mut expected: Vec<(f32, u32)> =
                            case.sorted(user).into_iter().map(|(score, item)| (score as f32, item)).collect();
                        expected.resize(keep.max(expected.len()), (LOWEST, NONE));
                        expected.truncate(keep);
                        assert!(
                            *list == expected,
                            "{device}, {users} × {items} × {width}, keep {keep}, cut {cut}/{step}, user {user}:\n{list:?}\n{expected:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Every candidate beats all before it: a merge of a full panel at every step.
#[test]
fn scores_that_only_rise_and_only_fall_are_merged() {
    for sign in [1.0, -1.0] {
        let items = 5 * PANEL + 3;
        let v = (0..items).map(|i| sign * i as f32).collect();
        let case = Case { width: 1, u: vec![1.0, 2.0, 0.0], v, seen: vec![vec![], vec![0, 40, 322], vec![]] };
        for (device, mut backend) in devices::all() {
            for keep in [3, 100, 323] {
                for (user, list) in case.lists(&mut *backend, keep, 2, 2).iter().enumerate() {
                    let expected: Vec<u32> = case.sorted(user).iter().map(|x| x.1).take(keep).collect();
                    let found: Vec<u32> = list.iter().map(|x| x.1).filter(|&x| x != NONE).collect();
                    assert_eq!(found, expected, "{device}, keep {keep}, user {user}");
                }
            }
        }
    }
}

#[test]
fn rounded_scores_are_those_of_the_best_within_rounding() {
    for width in [1, 7, 33, 129, 513] {
        let case = Case::new(10, 500, width, width as u64, |x| x);
        let tolerance = ONE_SUM * width as f64;
        for (device, mut backend) in devices::all() {
            for (user, list) in case.lists(&mut *backend, 30, 4, 2).iter().enumerate() {
                let expected = case.sorted(user);
                for (place, &(score, item)) in list.iter().enumerate().take(expected.len()) {
                    let what = format!("{device}, width {width}, user {user}, place {place}");
                    assert!((f64::from(score) - expected[place].0).abs() < tolerance, "{what}");
                    assert!((f64::from(score) - case.score(user, item as usize)).abs() < tolerance, "{what}");
                }
                let mut distinct: Vec<u32> = list.iter().map(|x| x.1).filter(|&x| x != NONE).collect();
                distinct.sort_unstable();
                distinct.dedup();
                assert_eq!(distinct.len(), expected.len().min(30), "{device}, width {width}, user {user}");
            }
        }
    }
}

/// A software adapter ends loops early: at its limit the last item must still be found.
#[test]
fn as_many_panels_as_a_loop_may_have_are_all_seen() {
    for (device, mut backend) in devices::all() {
        let (width, keep) = (2, 2);
        let panels = (backend.max_loop() / panel_loops(width, keep)).clamp(1, 200) as usize;
        let items = panels * PANEL;
        let v: Vec<f32> = (0..items * width).map(|i| (i / width) as f32).collect();
        let case = Case { width, u: vec![1.0; 4 * width], v, seen: vec![vec![], vec![], vec![], vec![1]] };
        for list in case.lists(&mut *backend, keep, panels, panels) {
            assert_eq!(
                (list[0].1, list[1].1),
                (items as u32 - 1, items as u32 - 2),
                "{device}, {panels} panels"
            );
        }
    }
}

#[test]
fn shapes_that_don_t_agree_are_refused() {
    let mut backend = devices::cpu(1);
    let mut zeros = |element, len| backend.alloc("test", element, len).unwrap();
    let good = BestItems {
        user_factors: zeros(Element::F32, 2 * GROUP * 3),
        item_factors: zeros(Element::F32, 2 * PANEL * 3),
        seen_offsets: zeros(Element::U32, 6),
        seen: zeros(Element::U32, 1),
        scores: zeros(Element::F32, 5 * 7),
        items: zeros(Element::U32, 5 * 7),
        users: 5,
        width: 3,
        first: 0,
        panels: 2,
        base: 0,
        count: 100,
        keep: 7,
        fresh: true,
    };
    assert!(good.dispatch().is_ok());
    for bad in [
        BestItems { users: 6, ..good },
        BestItems { users: 9, ..good },
        BestItems { first: 1, ..good },
        BestItems { count: 2 * PANEL + 1, ..good },
        BestItems { keep: 8, ..good },
        BestItems { keep: 0, ..good },
        BestItems { items: good.scores, ..good },
    ] {
        assert!(bad.dispatch().is_err(), "{bad:?}");
    }
}
