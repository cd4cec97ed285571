//! Which kernels train.

/// Which kernels train: the same arithmetic, rounded in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernels {
    /// The fused ones where the optimiser has them and the data and the device allow it.
    #[default]
    Auto,
    /// The fused ones, or an error.
    Fused,
    /// Those that are written to be read, a product each.
    Textbook,
}

impl Kernels {
    /// Every choice, in the order of the help text.
    pub const ALL: [Kernels; 3] = [Kernels::Auto, Kernels::Fused, Kernels::Textbook];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Auto => "auto",
            Kernels::Fused => "fused",
            Kernels::Textbook => "textbook",
        }
    }
}
