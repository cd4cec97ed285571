//! From a configuration to a problem.

use super::Dataset;
use crate::config::{Checked, Precision, Reg, RegScaling, WARM_UP_LAMBDA};
use crate::problem::Setup;

/// The problem that a configuration describes.
pub(crate) fn setup<'a>(config: &Checked, data: &'a Dataset) -> Setup<'a> {
    let written = &config.config;
    let (reg, reg_scaling) = match config.reg {
        Reg::Auto => (WARM_UP_LAMBDA, RegScaling::Sqrt),
        Reg::Fixed(lambda) => (lambda, config.reg_scaling),
    };
    Setup {
        kind: config.model,
        rank: written.rank,
        start_rank: config.optimizer.start_rank(written.rank, config.reg),
        biases: None,
        seed: written.seed,
        reg,
        reg_scaling,
        reg_bias: written.reg_bias,
        row_elements: config.spec.row_elements,
        cell_loops: config.spec.cell_loops,
        cell_work: config.spec.cell_work,
        kernels: written.kernels,
        fuses: config.spec.fuses,
        spreads: config.reg == Reg::Auto,
        page_bytes: None,
        half: written.precision == Precision::F16,
        clip: written.clip,
        share: None,
        train: &data.train,
        valid: data.valid.as_ref(),
        test: data.test.as_ref(),
    }
}
