//! What was learned: how many factors, and which items belong together.

use super::super::chart::{Chart, Form, Ink, Series};
use super::super::factors::{MOST_FACTORS, Map, Spectrum};
use super::super::html::{Figure, Table};
use super::super::scale::Scale;
use super::super::text::{grouped, percent};
use super::super::{Report, map};
use super::{figure, missing};
use crate::data::text::measured as rating;
use crate::error::Result;

/// Directions of the spectrum that are drawn, at most.
const DRAWN: usize = 128;

pub(in super::super) fn figures(report: &Report<'_>) -> Result<Vec<Figure>> {
    let spectrum = match &report.spectrum {
        Some(spectrum) => spectrum_figure(spectrum)?,
        None if report.model.rank > MOST_FACTORS => missing(
            "Singular spectrum",
            format!("The rank is above {MOST_FACTORS}: its singular values would take too long."),
        ),
        None => missing("Singular spectrum", "All factors are 0: nothing was learned beyond the biases."),
    };
    let map = match &report.map {
        Some(map) => map_figure(report, map)?,
        None => missing(
            "Map of popular items",
            "A map needs at least two factors, and three items whose factors differ.",
        ),
    };
    Ok(vec![spectrum, map, neighbors(report)])
}

fn spectrum_figure(of: &Spectrum) -> Result<Figure> {
    let squares: Vec<f64> = of.strengths.iter().map(|strength| strength.powi(2)).collect();
    let total: f64 = squares.iter().sum();
    let sums = squares.iter().scan(0.0, |sum, square| {
        *sum += square;
        Some(*sum)
    });
    let rows = of.strengths.iter().zip(sums).enumerate().map(|(at, (strength, sum))| {
        let share = if total > 0.0 { percent(sum / total) } else { "–".to_owned() };
        vec![(at + 1).to_string(), rating(*strength), share]
    });
    let table = Table::new(&["direction", "strength", "of the variance, so far"], rows);
    let drawn = of.strengths.iter().take(DRAWN).enumerate();
    let bars = drawn.map(|(at, &strength)| (at as f64 + 0.6, at as f64 + 1.4, strength)).collect();
    let last = of.strengths.len().min(DRAWN) as f64 + 0.5;
    let chart = Chart {
        title: "Singular spectrum".to_owned(),
        x: (Scale::of([0.0, last], 6), "direction, the strongest first".to_owned()),
        y: (Scale::from_zero(of.strengths.iter().copied(), 5), "strength, in rating units".to_owned()),
        series: vec![Series { name: None, ink: Ink::First, form: Form::Bars(bars) }],
    };
    let reading = format!(
        "How far each independent direction of taste moves a prediction, root mean square over all users and items. \
         {} of {} directions hold 99% of the variance; they are as varied as {:.1} equal ones. If the last bars are \
         as good as 0, the rank is high enough; if they are all alike, try a higher `--rank`.",
        of.for_most,
        of.strengths.len(),
        of.effective
    );
    figure(&chart, reading, table)
}

fn map_figure(report: &Report<'_>, of: &Map) -> Result<Figure> {
    let names: Vec<String> = of.places.iter().map(|place| report.name_of(place.item)).collect();
    let ratings = |item: u32| grouped(report.predictor.item_ratings(item));
    let described: Vec<String> = of
        .places
        .iter()
        .zip(&names)
        .map(|(place, name)| format!("{name}: {} training ratings", ratings(place.item)))
        .collect();
    let rows = of.places.iter().zip(&names).map(|(place, name)| {
        vec![name.clone(), ratings(place.item), format!("{:+.3}", place.x), format!("{:+.3}", place.y)]
    });
    let table = Table::new(&["item", "training ratings", "x", "y"], rows);
    let title = "Map of popular items";
    let reading = format!(
        "The {} most rated items by their taste alone, without how much they are liked: near each other are items \
         that the same people like. The axes are the two directions in which they differ most, {} of their \
         differences in all; they have no names, and no side of them is better. Filled dots have their names beside \
         them; the others tell theirs to a pointer, and in the table.",
        of.places.len(),
        percent(of.shown[0] + of.shown[1])
    );
    let svg = Some(map::svg(of, &names, &described, title)?);
    Ok(Figure { title: title.to_owned(), reading, svg, numbers: table, wide: false })
}

fn neighbors(report: &Report<'_>) -> Figure {
    const TITLE: &str = "Nearest neighbours";
    if report.nearest.iter().all(|one| one.neighbors.is_empty()) {
        return missing(TITLE, "There are no items that could be compared.");
    }
    let rows = report.nearest.iter().map(|one| {
        let neighbor =
            |of: &crate::model::Neighbor| format!("{} ({:.2})", report.name_of(of.index), of.similarity);
        let list: Vec<String> = one.neighbors.iter().map(neighbor).collect();
        vec![report.name_of(one.item), list.join(" · ")]
    });
    let reading = format!(
        "Popular items of different kinds, and the items that the model holds to be most like each, with the cosine \
         of their factors: 1 is the same taste, 0 is none in common. Neighbours have {} training ratings or more. Do \
         they make sense to you? `deltav similar` answers for any item.",
        grouped(report.least_ratings)
    );
    Figure {
        title: TITLE.to_owned(),
        reading,
        numbers: Table::new(&["item", "nearest, nearest first"], rows).of_texts(),
        wide: true,
        ..Figure::default()
    }
}
