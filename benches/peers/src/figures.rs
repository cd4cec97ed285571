//! Ratios of two sides that took turns.

use crate::Failure;
use crate::peer::Peer;
use crate::wire::{Done, Job};

/// What is compared: seconds on the clock, or of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Wall,
    Cpu,
}

/// What a ratio must reach.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Shown for what it is.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The row, which is also what repeats it: `run ROW`.
    pub row: String,
    /// What was measured of each side.
    pub what: String,
    /// Medians, in `unit`: the first side and the second.
    pub sides: [f64; 2],
    pub unit: &'static str,
    /// Median of the ratios first/second, turn by turn, and the same in CPU seconds.
    pub ratio: f64,
    pub cpu_ratio: Option<f64>,
    /// Least and greatest of the ratios.
    pub spread: (f64, f64),
    pub bar: Bar,
}

impl Bar {
    pub fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bar) => Some(ratio >= bar),
            Self::AtMost(bar) => Some(ratio <= bar),
            Self::None => None,
        }
    }

    pub fn text(self) -> String {
        match self {
            Self::AtLeast(bar) => format!("≥ {bar}"),
            Self::AtMost(bar) => format!("≤ {bar}"),
            Self::None => "–".to_owned(),
        }
    }
}

/// The middle of some numbers; of an even number of them, the mean of both.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

/// Two sides' times, turn by turn: `[first, second]` each.
#[derive(Debug, Default)]
pub struct Turns {
    wall: Vec<[f64; 2]>,
    cpu: Vec<[f64; 2]>,
    /// The last of each side.
    pub last: [Done; 2],
}

impl Turns {
    /// Lets both sides take turns, `n` each; who begins changes each time. `time` does a job and
    /// says how long it took, on the clock and of the CPU.
    pub fn take(
        n: usize,
        mut first: impl FnMut() -> Result<Done, Failure>,
        mut second: impl FnMut() -> Result<Done, Failure>,
    ) -> Result<Self, Failure> {
        let mut turns = Self::default();
        for turn in 0..n {
            let pair = if turn % 2 == 0 {
                let a = first()?;
                [a, second()?]
            } else {
                let b = second()?;
                [first()?, b]
            };
            turns.wall.push([pair[0].wall, pair[1].wall]);
            turns.cpu.push([pair[0].cpu, pair[1].cpu]);
            turns.last = pair;
        }
        Ok(turns)
    }

    /// The line of the table.
    pub fn figure(&self, row: String, what: String, clock: Clock, bar: Bar) -> Figure {
        let times = if clock == Clock::Wall { &self.wall } else { &self.cpu };
        let ratios = |times: &[[f64; 2]]| times.iter().map(|[a, b]| a / b).collect::<Vec<f64>>();
        let all = ratios(times);
        let spread = (
            all.iter().copied().fold(f64::INFINITY, f64::min),
            all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        );
        Figure {
            row,
            what,
            sides: [0, 1].map(|side| median(times.iter().map(|pair| pair[side]).collect())),
            unit: "s",
            ratio: median(all),
            cpu_ratio: (clock == Clock::Wall).then(|| median(ratios(&self.cpu))),
            spread,
            bar,
        }
    }
}

/// Seconds an epoch: what more epochs cost, shared among them, so that set-up and end fall out.
pub fn per_epoch(peer: &mut Peer, job: &Job, few: u32, many: u32) -> Result<Done, Failure> {
    let short = peer.run(&Job { epochs: few, ..job.clone() })?;
    let long = peer.run(&Job { epochs: many, ..job.clone() })?;
    let count = f64::from(many - few);
    Ok(Done { wall: (long.wall - short.wall) / count, cpu: (long.cpu - short.cpu) / count, ..long })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn ratios_are_taken_turn_by_turn() {
        let (mut a, mut b) = ([2.0, 4.0, 60.0].into_iter(), [1.0, 2.0, 10.0].into_iter());
        let done = |wall: Option<f64>| Ok(Done { wall: wall.unwrap(), cpu: 1.0, ..Done::default() });
        let turns = Turns::take(3, || done(a.next()), || done(b.next())).unwrap();
        let figure = turns.figure("row".into(), "what".into(), Clock::Wall, Bar::AtLeast(2.0));
        assert_eq!((figure.ratio, figure.spread, figure.cpu_ratio), (2.0, (2.0, 6.0), Some(1.0)));
        assert_eq!((figure.sides, figure.bar.met(figure.ratio)), ([4.0, 2.0], Some(true)));
    }
}
