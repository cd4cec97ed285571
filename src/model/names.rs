//! Items by the names that people know them by.

use std::borrow::Cow;

use super::Model;
use crate::data::Ids;

impl Model {
    /// An item's name; `None` if the model has none for it.
    ///
    /// # Panics
    /// If `item` is not an index of the model's items.
    pub fn item_name(&self, item: u32) -> Option<Cow<'_, str>> {
        self.item_names.as_ref().map(|names| names.text(item)).filter(|name| !name.is_empty())
    }

    /// Number of items that have a name.
    pub fn named_items(&self) -> u64 {
        let names = self.item_names.iter().flat_map(Ids::iter);
        names.filter(|name| !name.is_empty()).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, known_answers};
    use crate::config::ModelKind;

    #[test]
    fn items_have_names_or_none() {
        let mut model = known_answers(ModelKind::Biased);
        assert_eq!((model.item_name(0), model.named_items()), (None, 0));
        model.item_names = Some(ids(&["Heat", "", "Zoë"]));
        let names: Vec<_> = (0..3).map(|item| model.item_name(item)).collect();
        assert_eq!(names, [Some("Heat".into()), None, Some("Zoë".into())]);
        assert_eq!((model.named_items(), model.card().data.named_items), (2, 2));
    }
}
