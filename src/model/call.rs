//! The call of `deltav train` that a model's settings stand for.

use super::Model;
use crate::optim::OPTIMIZERS;

/// The file's settings that are flags of `train`; the others are the optimiser's hyperparameters.
const FLAGS: [&str; 16] = [
    "average",
    "duplicates",
    "epochs",
    "holdout",
    "holdout_by",
    "keep",
    "kernels",
    "loss",
    "max_seconds",
    "min_ratings",
    "patience",
    "precision",
    "rating_range",
    "reg",
    "reg_bias",
    "reg_scaling",
];

impl Model {
    /// The flags of `train`, without their dashes, and their values: `opt` has `key=value`, `no-clip` true
    /// or false.
    ///
    /// The file is a stranger's: what is no setting of a training, such as an output, is no flag here. Values
    /// are as they stand there.
    pub(crate) fn training_flags(&self) -> Vec<(String, String)> {
        let metadata = &self.metadata;
        let settings = &metadata.settings;
        // Of an average the rank is that of each of its models.
        let members = settings.get("average").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1).max(1);
        let mut flags = vec![
            ("model".to_owned(), self.kind.name().to_owned()),
            ("rank".to_owned(), (self.rank / members).to_string()),
            ("seed".to_owned(), metadata.seed.to_string()),
            ("optimizer".to_owned(), metadata.optimizer.clone()),
        ];
        // A model that doesn't know how many were asked for knows how many ran.
        if !settings.contains_key("epochs") {
            flags.push(("epochs".to_owned(), metadata.epochs.to_string()));
        }
        let known = settings.iter().filter(|(name, _)| FLAGS.contains(&name.as_str()));
        flags.extend(known.map(|(name, value)| (name.replace('_', "-"), value.clone())));
        let spec = OPTIMIZERS.iter().find(|spec| spec.name == metadata.optimizer);
        for hyperparameter in spec.iter().flat_map(|spec| spec.hyperparameters) {
            let key = hyperparameter.key;
            flags.extend(settings.get(key).map(|value| ("opt".to_owned(), format!("{key}={value}"))));
        }
        flags.push(("no-clip".to_owned(), (!self.clip).to_string()));
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::known_answers;
    use super::*;
    use crate::config::ModelKind;

    #[test]
    fn every_setting_of_a_training_is_a_flag_and_nothing_else_is() {
        let mut model = Model { clip: false, ..known_answers(ModelKind::Biased) };
        let settings =
            [("reg", "0.5"), ("reg_scaling", "none"), ("average", "2"), ("epochs", "9"), ("out", "/etc/x")];
        let strange = [("force", "true"), ("x\ny", "z"), ("momentum", "0.9")];
        for (name, value) in settings.into_iter().chain(strange) {
            model.metadata.settings.insert(name.to_owned(), value.to_owned());
        }
        let flags = model.training_flags();
        let flags: Vec<(&str, &str)> = flags.iter().map(|(flag, value)| (&**flag, &**value)).collect();
        let expected = [
            ("model", "biased"),
            ("rank", "1"),
            ("seed", "18446744073709551615"),
            ("optimizer", "gd"),
            ("average", "2"),
            ("epochs", "9"),
            ("reg", "0.5"),
            ("reg-scaling", "none"),
            ("opt", "rate=0.1"),
            ("no-clip", "true"),
        ];
        assert_eq!(flags, expected, "momentum is no hyperparameter of gd");
        model.metadata.settings.remove("epochs");
        assert!(model.training_flags().contains(&("epochs".to_owned(), "4".to_owned())));
    }
}
