//! How the model was made, and how to make it again.

use super::html::{Figure, Section, Table, paragraph};
use super::text::{bytes, escape, grouped};
use super::{Report, section};
use crate::data::text::shell_word;
use crate::model::Model;

/// The last section: tables, and the command.
pub(super) fn making(report: &Report<'_>) -> Section {
    let table =
        |title: &str, numbers: Table| Figure { title: title.to_owned(), numbers, ..Figure::default() };
    let rows = |rows: Vec<(String, String)>| {
        Table::new(&[], rows.into_iter().map(|(name, value)| vec![name, value])).of_texts()
    };
    // The curve has a picture.
    let sections = report.model.card().sections().into_iter().filter(|part| part.title != "RMSE by epoch");
    let mut figures: Vec<Figure> = sections.map(|part| table(part.title, rows(part.rows))).collect();
    let spread = Table::new(&["training ratings", "least", "median", "mean", "most"], spreads(report));
    figures.push(table("Activity and popularity", spread));
    figures.push(table("Memory", memory(report)));
    let before = format!("<h3>How to reproduce</h3>{}", reproduce(report));
    Section { before, figures, ..section("making", "How it was made") }
}

/// How many ratings a user has, and an item, of those that have any.
fn spreads(report: &Report<'_>) -> Vec<Vec<String>> {
    let known = report.predictor.known();
    let row = |name: &str, counts: &[u64]| {
        let mut counts: Vec<u64> = counts.iter().copied().filter(|&count| count > 0).collect();
        counts.sort_unstable();
        let n = counts.len();
        let (Some(least), Some(most)) = (counts.first(), counts.last()) else {
            return vec![name.to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned()];
        };
        let mean = counts.iter().sum::<u64>() as f64 / n as f64;
        let median = (counts[(n - 1) / 2] + counts[n / 2]) as f64 / 2.0;
        let cells = [grouped(*least), format!("{median}"), format!("{mean:.1}"), grouped(*most)];
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    vec![row("of a user", &known.user_counts), row("of an item", &known.item_counts)]
}

fn memory(report: &Report<'_>) -> Table {
    let held = ("the model, to answer".to_owned(), in_memory(report.model));
    let file = report.file_bytes.map(|size| ("the model's file".to_owned(), size));
    let all = report.memory.iter().cloned().chain([held]).chain(file);
    Table::new(&[], all.map(|(what, size)| vec![what, bytes(size)])).of_texts()
}

/// Bytes of a model's numbers and ids in memory.
fn in_memory(model: &Model) -> u64 {
    let rows = (model.users.len() + model.items.len()) as u64;
    let width = model.rank as u64 + 1;
    let baseline = if model.baseline.is_some() { rows } else { 0 };
    let posterior = model.posterior.as_ref().map_or(0, |posterior| {
        let mask = if posterior.mask.is_some() { rows * (width - 1) } else { 0 };
        rows * width + model.users.len() as u64 + mask
    });
    let ids = [Some(&model.users), Some(&model.items), model.item_names.as_ref()];
    let ids = ids
        .into_iter()
        .flatten()
        .map(crate::data::Ids::parts)
        .map(|(text, offsets)| text.len() + 8 * offsets.len());
    let seen = 4 * model.seen.columns.len() + 8 * model.seen.offsets.len();
    4 * (rows * width + baseline + posterior) + (ids.sum::<usize>() + seen) as u64
}

fn reproduce(report: &Report<'_>) -> String {
    let metadata = &report.model.metadata;
    let command = report.command.clone().unwrap_or_else(|| command(report.model));
    let mut html = format!("<pre>{}</pre>", escape(&command));
    if report.command.is_none() {
        html += &paragraph(
            "RATINGS are the files that it was trained on, with the flags by which they were read. Files, and so those \
             of `--valid`, `--test` and `--init-model`, are in no model: pass the same.",
        );
    }
    let hash = &metadata.data_hash;
    html += &paragraph(&format!(
        "The training ratings' SHA-256 must be {hash}: `deltav inspect` shows it. The same version ({}), ratings, \
         settings and device ({}) give the same bytes.",
        metadata.version, metadata.device
    ));
    html
}

/// The call of `train` that the file's settings come from, as far as it knows them: a line for a shell,
/// whatever stands in the file.
fn command(model: &Model) -> String {
    let mut words = "deltav train RATINGS".to_owned();
    for (flag, value) in model.training_flags() {
        match (&*flag, &*value) {
            ("no-clip", "false") => {}
            ("no-clip", _) => words += " --no-clip",
            _ => words += &format!(" --{flag} {}", shell_word(&value)),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelKind;
    use crate::model::testing::{known_answers, random_model};

    #[test]
    fn the_command_has_every_setting_of_the_file() {
        let mut model = Model { clip: false, ..known_answers(ModelKind::Biased) };
        model.metadata.settings.insert("reg".to_owned(), "0.5".to_owned());
        model.metadata.settings.insert("average".to_owned(), "2".to_owned());
        assert_eq!(
            command(&model),
            "deltav train RATINGS --model biased --rank 1 --seed 18446744073709551615 --optimizer gd --epochs 4 \
             --average 2 --reg 0.5 --opt rate=0.1 --no-clip"
        );
        // Whoever pastes it runs nothing else.
        model.metadata.settings.insert("rate".to_owned(), "1; reboot".to_owned());
        model.metadata.optimizer = "x'; reboot #".to_owned();
        let quoted = command(&model);
        assert!(quoted.contains(r"--optimizer 'x'\''; reboot #' "), "{quoted}");
        assert!(!quoted.contains("--opt "), "no hyperparameter is known: {quoted}");
        model.metadata.optimizer = "gd".to_owned();
        assert!(command(&model).contains("--opt 'rate=1; reboot' "));
    }

    #[test]
    fn memory_counts_every_number_once() {
        let model = random_model(ModelKind::Biased, 5, 7, 3, 0.5, 1);
        let floats = model.user_factors.len() + model.item_factors.len() + 5 + 7;
        let ids: usize = [&model.users, &model.items].iter().map(|ids| ids.parts().0.len()).sum();
        let expected = 4 * floats + ids + 8 * (6 + 8) + 4 * model.seen.columns.len() + 8 * 6;
        assert_eq!(in_memory(&model), expected as u64);
    }
}
