//! LIBMF, through its crate.

use libmf::{Matrix, Model};

use crate::data::{Part, Set};
use crate::wire::{Done, Job};
use crate::worker::timed;
use crate::{Failure, sys};

/// The training and the test ratings, as LIBMF has them.
pub struct Libmf {
    train: Matrix,
    test: Matrix,
    held: Part,
    range: (f32, f32),
}

impl Libmf {
    pub fn new(set: &Set) -> Self {
        let matrix = |part: &Part| {
            let mut matrix = Matrix::with_capacity(part.value.len());
            for ((&user, &item), &value) in part.user.iter().zip(&part.item).zip(&part.value) {
                matrix.push(user, item, value);
            }
            matrix
        };
        let held =
            Part { user: set.test.user.clone(), item: set.test.item.clone(), value: set.test.value.clone() };
        let least = set.train.value.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = set.train.value.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self { train: matrix(&set.train), test: matrix(&set.test), held, range: (least, greatest) }
    }

    pub fn run(&mut self, job: &Job) -> Result<Done, Failure> {
        let mut params = Model::params();
        params
            .factors(job.rank as i32)
            .threads(job.threads as i32)
            .iterations(job.epochs as i32)
            .lambda_p2(job.lambda as f32)
            .lambda_q2(job.lambda as f32);
        if job.work == "curve" {
            params.quiet(false);
            let (model, printed) = sys::captured(|| params.fit_eval(&self.train, &self.test))?;
            model?;
            return Ok(Done { curve: curve(&printed)?, ..Done::default() });
        }
        // Its own train function: the copy and the blocks of the ratings are part of it.
        let (model, wall, cpu) = timed(|| params.quiet(true).fit(&self.train));
        let model = model?;
        let rmse = model.rmse(&self.test)?;
        Ok(Done { wall, cpu, rmse, clipped: self.clipped(&model), ..Done::default() })
    }

    fn clipped(&self, model: &Model) -> f64 {
        let pairs = self.held.user.iter().zip(&self.held.item).zip(&self.held.value);
        let squares = pairs.map(|((&user, &item), &value)| {
            let guess = model.predict(user, item).clamp(self.range.0, self.range.1);
            f64::from(guess - value).powi(2)
        });
        (squares.sum::<f64>() / self.held.value.len() as f64).sqrt()
    }
}

/// The column `va_rmse` of what LIBMF prints: `iter tr_rmse va_rmse obj`.
fn curve(printed: &str) -> Result<Vec<f64>, Failure> {
    let mut curve = Vec::new();
    for line in printed.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit())) {
        let field = line.split_whitespace().nth(2).ok_or("LIBMF printed no va_rmse")?;
        curve.push(field.parse()?);
    }
    Ok(curve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validation_column_is_found() {
        let printed = "iter      tr_rmse      va_rmse          obj\n   0       2.4925       1.2075   6.6e+05\n  10       0.9       0.8452   1.1e+05\n";
        assert_eq!(curve(printed).unwrap(), [1.2075, 0.8452]);
    }
}
