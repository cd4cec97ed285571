//! Items by the names that people know them by.

use std::borrow::Cow;

use super::{Model, Predictor};
use crate::data::Ids;
use crate::data::text::quoted;
use crate::error::{Error, Result};

/// Items that an error lists, at most.
const LISTED: usize = 5;

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

    /// Items whose name fulfils a condition, in order.
    fn named<'a>(&'a self, is_it: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = u32> + 'a {
        (0..self.items.len() as u32)
            .filter(move |&item| self.item_name(item).is_some_and(|name| is_it(&name)))
    }
}

impl Predictor<'_> {
    /// The index of the item with this id, or else of the one item that has exactly this name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none, or if several have the name. It lists some whose name
    /// has the text in it, in whatever case.
    pub fn find_item(&self, text: &[u8]) -> Result<u32> {
        if let Some(item) = self.item(text) {
            return Ok(item);
        }
        let model = self.model();
        let shown = quoted(text);
        let text = String::from_utf8_lossy(text);
        let same: Vec<u32> = model.named(|name| name == text).take(LISTED + 1).collect();
        match same[..] {
            [item] => return Ok(item),
            [_, ..] => {
                let what = format!("several items are called {shown}");
                return Err(Error::usage(what, format!("pass the id of one: {}", self.listed(&same))));
            }
            [] => {}
        }
        let lower = text.to_lowercase();
        let alike: Vec<u32> = if lower.is_empty() {
            Vec::new()
        } else {
            model.named(|name| name.to_lowercase().contains(&lower)).take(LISTED + 1).collect()
        };
        let what = match model.item_names {
            Some(_) => format!("no item has the id or the name {shown}"),
            None => format!("no item has the id {shown}, and the model has no names"),
        };
        Err(Error::usage(
            what,
            match alike[..] {
                [] => "pass an item of the ratings it was trained on".to_owned(),
                _ => format!("names with that in it: {}", self.listed(&alike)),
            },
        ))
    }

    /// [`find_item`](Self::find_item) for an item that has training ratings.
    ///
    /// # Errors
    /// [`Error::Usage`] as there, and if it has none.
    pub fn known_item(&self, text: &[u8]) -> Result<u32> {
        let item = self.find_item(text)?;
        if self.knows_item(item) {
            return Ok(item);
        }
        Err(Error::usage(
            format!("item {} has no training ratings", quoted(text)),
            "pass an item of the ratings it was trained on",
        ))
    }

    /// Ids with names, of which the last is only there to say that there are more.
    fn listed(&self, items: &[u32]) -> String {
        let one = |&item: &u32| {
            let name = self.model().item_name(item).unwrap_or_default();
            format!("{} ({})", quoted(self.model().items.get(item)), quoted(name.as_bytes()))
        };
        let mut shown: Vec<String> = items.iter().take(LISTED).map(one).collect();
        if items.len() > LISTED {
            shown.push("and more".to_owned());
        }
        shown.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, known_answers, random_model};
    use super::*;
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

    #[test]
    fn an_item_is_found_by_id_then_by_the_whole_name() {
        let mut model = known_answers(ModelKind::Biased);
        model.item_names = Some(ids(&["y", "Zoë", "Heat"]));
        let predictor = model.predictor();
        let find = |text: &str| predictor.find_item(text.as_bytes()).unwrap();
        assert_eq!(["x", "y", "z", "Zoë", "Heat"].map(find), [0, 1, 2, 1, 2], "ids before names");
        assert_eq!(predictor.known_item(b"Zo\xc3\xab").unwrap(), 1);
        let error = predictor.known_item(b"Heat").unwrap_err();
        assert!(error.to_string().starts_with("item \"Heat\" has no training ratings; "), "{error}");
    }

    #[test]
    fn what_is_not_found_gets_suggestions() {
        let mut model = random_model(ModelKind::Biased, 3, 9, 2, 0.5, 1);
        let refusal = |model: &Model, text: &[u8]| {
            let error = model.predictor().find_item(text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text}");
            text
        };
        assert!(
            refusal(&model, b"star").starts_with("no item has the id \"star\", and the model has no names; ")
        );
        let names = ["Star I", "STAR II", "Heat", "a\nstar", "", "Heat", "star v", "star vi", "star vii"];
        model.item_names = Some(ids(&names));
        assert_eq!(
            refusal(&model, b"star"),
            "no item has the id or the name \"star\"; names with that in it: \"i0\" (\"Star I\"), \
             \"i1\" (\"STAR II\"), \"i3\" (\"a\\nstar\"), \"i6\" (\"star v\"), \"i7\" (\"star vi\"), and more"
        );
        assert_eq!(
            refusal(&model, b"Heat"),
            "several items are called \"Heat\"; pass the id of one: \"i2\" (\"Heat\"), \"i5\" (\"Heat\")"
        );
        assert!(refusal(&model, b"\xff\n").ends_with("; pass an item of the ratings it was trained on"));
        assert!(refusal(&model, b"").ends_with("; pass an item of the ratings it was trained on"));
    }
}
