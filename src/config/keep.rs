//! Which epoch's factors are kept.

/// Which epoch's factors a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those of the last epoch.
    Last,
    /// Those of the epoch with the lowest validation RMSE, the first of equals.
    Best,
}

impl Keep {
    /// Every choice, in the order of the help text.
    pub const ALL: [Keep; 2] = [Keep::Best, Keep::Last];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Keep::Last => "last",
            Keep::Best => "best",
        }
    }
}
