//! Users and items take turns: a role says whose turn it is.

/// Which side's rows a product is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Rows are users: ΔV.
    Users,
    /// Rows are items: ΔᵀU.
    Items,
}

impl Role {
    /// Both, users first.
    pub const BOTH: [Role; 2] = [Role::Users, Role::Items];

    pub(super) fn factors(self) -> &'static str {
        match self {
            Role::Users => "user factors",
            Role::Items => "item factors",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Role::Users => Role::Items,
            Role::Items => Role::Users,
        }
    }
}
