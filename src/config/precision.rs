//! In which precision the fused kernels gather.

/// In which precision the fused kernels gather the other side's factors; their own and all sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// As f16: half as much to gather, for GPUs.
    F16,
}

impl Precision {
    /// Every choice, in the order of the help text.
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::F16];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        }
    }
}
