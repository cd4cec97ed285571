//! Which kernels train.

use crate::kernel::template::Mapping;

/// Which kernels train: the same arithmetic, rounded in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernels {
    /// The fused ones where the optimiser has them and the data and the device allow it.
    #[default]
    Auto,
    /// The fused ones, or an error.
    Fused,
    /// The fused ones; on a GPU an invocation a row.
    FusedRows,
    /// The fused ones; on a GPU a group of lanes a row.
    FusedLanes,
    /// Those that are written to be read, a product each.
    Textbook,
}

impl Kernels {
    /// Every choice, in the order of the help text.
    pub const ALL: [Kernels; 5] =
        [Kernels::Auto, Kernels::Fused, Kernels::FusedRows, Kernels::FusedLanes, Kernels::Textbook];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kernels::Auto => "auto",
            Kernels::Fused => "fused",
            Kernels::FusedRows => "fused-rows",
            Kernels::FusedLanes => "fused-lanes",
            Kernels::Textbook => "textbook",
        }
    }

    /// How a GPU's lanes share the rows; `None`: as suits it.
    pub fn mapping(self) -> Option<Mapping> {
        match self {
            Kernels::FusedRows => Some(Mapping::Rows),
            Kernels::FusedLanes => Some(Mapping::Lanes),
            Kernels::Auto | Kernels::Fused | Kernels::Textbook => None,
        }
    }
}
