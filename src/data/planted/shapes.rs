//! Sizes that are known by name.

use super::Planted;

/// The size of a data set: users, items and ratings. What is planted in it is skewed as the set
/// itself is; it has none of its ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Users.
    pub users: usize,
    /// Items.
    pub items: usize,
    /// Ratings.
    pub ratings: usize,
}

/// The sizes that are known by name, the smallest first.
pub const SHAPES: &[Shape] = &[
    Shape { name: "small", users: 2_000, items: 1_000, ratings: 100_000 },
    Shape { name: "ml-1m", users: 6_040, items: 3_706, ratings: 1_000_209 },
    Shape { name: "10m", users: 70_000, items: 10_000, ratings: 10_000_000 },
    Shape { name: "ml-32m", users: 200_948, items: 84_432, ratings: 32_000_204 },
    // The training part, without the probe.
    Shape { name: "netflix", users: 480_189, items: 17_770, ratings: 99_072_112 },
];

impl Shape {
    /// The shape of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        SHAPES.iter().copied().find(|shape| shape.name == name)
    }

    /// The recipe of this size.
    pub fn planted(self) -> Planted {
        Planted::new(self.users, self.items, self.ratings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_names_and_room() {
        for shape in SHAPES {
            assert_eq!(Shape::by_name(shape.name), Some(*shape));
            assert!(shape.planted().check().is_ok());
        }
        assert!(SHAPES.is_sorted_by_key(|shape| shape.ratings));
        assert_eq!(Shape::by_name("Netflix"), None);
    }
}
