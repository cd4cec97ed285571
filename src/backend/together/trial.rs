//! Which of two ways to the same bits is the faster one here: both are gone in turns, and timed.

use std::time::Instant;

/// Turns of each way, of which the fastest counts; the first of each warms up.
const TURNS: usize = 3;

/// Whether to take the second way, for work of one kind.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// What the work is known by: work of another kind is tried anew.
    kind: (usize, u64),
    /// Turns so far.
    turns: usize,
    /// The fastest of each way so far, in seconds.
    best: [Option<f64>; 2],
}

impl Trial {
    /// Does work of a kind, which is told whether to take the second way.
    pub(super) fn run<T>(&mut self, kind: (usize, u64), work: impl FnOnce(bool) -> T) -> T {
        if kind != self.kind {
            *self = Self { kind, ..Self::default() };
        }
        let way = self.way();
        let began = Instant::now();
        let done = work(way);
        self.took(way, began.elapsed().as_secs_f64());
        done
    }

    fn way(&self) -> bool {
        match self.best {
            [Some(first), Some(second)] if self.turns >= 2 * TURNS => second < first,
            _ => self.turns % 2 == 1,
        }
    }

    fn took(&mut self, way: bool, seconds: f64) {
        if (2..2 * TURNS).contains(&self.turns) {
            let best = &mut self.best[usize::from(way)];
            *best = Some(best.map_or(seconds, |best| best.min(seconds)));
        }
        self.turns = (self.turns + 1).min(2 * TURNS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways of so many turns, where a turn takes so long.
    fn ways(trial: &mut Trial, turns: usize, seconds: impl Fn(usize, bool) -> f64) -> Vec<bool> {
        let turn = |turn| {
            let way = trial.way();
            trial.took(way, seconds(turn, way));
            way
        };
        (0..turns).map(turn).collect()
    }

    #[test]
    fn the_faster_way_is_kept() {
        for faster in [false, true] {
            // The first turn of a way may take long, and so may another one.
            let seconds = |turn, way| match turn {
                0..2 => 100.0,
                2 | 3 => 50.0,
                _ => {
                    if way == faster {
                        1.0
                    } else {
                        2.0
                    }
                }
            };
            let ways = ways(&mut Trial::default(), 2 * TURNS + 3, seconds);
            let (tried, kept) = ways.split_at(2 * TURNS);
            assert!(tried.iter().enumerate().all(|(turn, way)| *way == (turn % 2 == 1)));
            assert_eq!(kept, [faster; 3]);
        }
    }

    #[test]
    fn other_work_is_tried_anew() {
        let mut trial = Trial::default();
        let mut run = |kind| trial.run(kind, |way| way);
        let tried: Vec<bool> = (0..2 * TURNS).map(|_| run((7, 1))).collect();
        assert_eq!(tried, [false, true].repeat(TURNS));
        let kept = run((7, 1));
        assert_eq!([run((7, 1)), run((7, 1))], [kept; 2]);
        assert_eq!([run((7, 2)), run((7, 2)), run((7, 1)), run((7, 1))], [false, true, false, true]);
    }
}
