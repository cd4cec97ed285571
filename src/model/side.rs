//! Users or items.

/// One of the two sides of the ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The rows of U.
    Users,
    /// The rows of V.
    Items,
}

impl Side {
    /// Both, users first.
    pub const ALL: [Side; 2] = [Side::Users, Side::Items];

    /// The one that this one's ratings are of.
    pub fn other(self) -> Side {
        match self {
            Side::Users => Side::Items,
            Side::Items => Side::Users,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Side::Users => "users",
            Side::Items => "items",
        }
    }
}
