//! Users or items.

/// One of the two sides of the ratings: whose rows a factor matrix or a product has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Users: the rows of U and of ΔV.
    Users,
    /// Items: the rows of V and of ΔᵀU.
    Items,
}

impl Side {
    /// Both, users first.
    pub const BOTH: [Side; 2] = [Side::Users, Side::Items];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Side::Users => "users",
            Side::Items => "items",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Side::Users => Side::Items,
            Side::Items => Side::Users,
        }
    }
}
