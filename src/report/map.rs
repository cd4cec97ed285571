//! The map of items as a picture: a dot each, and names where there is room.

use plotters::drawing::IntoDrawingArea;
use plotters::element::Text;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{IntoFont, RGBColor};

use super::chart::{LETTER, UNIT, WIDTH, finished};
use super::factors::Map;
use super::text::{clean, cut, escape};
use crate::error::{Error, Result};

const HEIGHT: i32 = 420;
/// Room around the dots, in pixels.
const MARGIN: f64 = 34.0;
/// Size of the names, in pixels.
const SIZE: f64 = 10.5;
/// Letters of a name at most, and where that finds no room.
const LETTERS: [usize; 2] = [30, 18];
/// Radius of a dot, in pixels.
const DOT: f64 = 3.5;

/// A rectangle: left, top, right, bottom.
type Frame = [f64; 4];

/// A name beside its dot.
#[derive(Clone)]
struct Label {
    text: String,
    at: (f64, f64),
    side: HPos,
    frame: Frame,
}

/// The picture. `names`: one a place, what its dot is called beside its label: the name and more.
pub(super) fn svg(map: &Map, names: &[String], described: &[String], title: &str) -> Result<String> {
    let dots = dots(map);
    let labels = labels(&dots, names);
    let mut drawn = String::new();
    {
        let backend = SVGBackend::with_string(&mut drawn, ((WIDTH * UNIT) as u32, (HEIGHT * UNIT) as u32));
        let area = backend.into_drawing_area();
        let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("a map: {error}"));
        for label in labels.iter().flatten() {
            let font = ("sans-serif", SIZE * 1.24 * f64::from(UNIT)).into_font();
            let style = font.color(&RGBColor(0x1b, 0x1f, 0x24)).pos(Pos::new(label.side, VPos::Center));
            let (x, y) = label.at;
            let at = ((x * f64::from(UNIT)) as i32, (y * f64::from(UNIT)) as i32);
            area.draw(&Text::new(label.text.clone(), at, style)).map_err(|error| failed(&error))?;
        }
        area.present().map_err(|error| failed(&error))?;
    }
    let dot = |((&(x, y), label), described): ((&(f64, f64), &Option<Label>), &String)| {
        let class = if label.is_some() { "named" } else { "dot" };
        let unit = f64::from(UNIT);
        format!(
            "<circle class=\"{class}\" cx=\"{:.0}\" cy=\"{:.0}\" r=\"{:.0}\"><title>{}</title></circle>",
            x * unit,
            y * unit,
            DOT * unit,
            escape(described)
        )
    };
    let circles: String = dots.iter().zip(&labels).zip(described).map(dot).collect();
    Ok(finished(&drawn, title, "map", &circles))
}

/// Where the dots are, in pixels: as large as they can be, and as far apart along both axes.
fn dots(map: &Map) -> Vec<(f64, f64)> {
    let range = |of: fn(&super::factors::Place) -> f64| {
        let values = map.places.iter().map(of);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        (low, values.fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (bottom, top)) = (range(|place| place.x), range(|place| place.y));
    let (width, height) = (f64::from(WIDTH) - 2.0 * MARGIN, f64::from(HEIGHT) - 2.0 * MARGIN);
    let scale = (width / (right - left).max(1e-12)).min(height / (top - bottom).max(1e-12));
    let (middle_x, middle_y) = ((left + right) / 2.0, (bottom + top) / 2.0);
    let place = |place: &super::factors::Place| {
        let x = f64::from(WIDTH) / 2.0 + scale * (place.x - middle_x);
        (x, f64::from(HEIGHT) / 2.0 - scale * (place.y - middle_y))
    };
    map.places.iter().map(place).collect()
}

/// A name for each dot that has room for it beside, above or below; the first dots first.
fn labels(dots: &[(f64, f64)], names: &[String]) -> Vec<Option<Label>> {
    let reach = DOT + 1.0;
    let around = |&(x, y): &(f64, f64)| [x - reach, y - reach, x + reach, y + reach];
    let dots_taken: Vec<Frame> = dots.iter().map(around).collect();
    let mut taken: Vec<Frame> = Vec::new();
    let mut labels = Vec::new();
    for (at, (&(x, y), name)) in dots.iter().zip(names).enumerate() {
        let half = SIZE * 0.62;
        let sides = [
            (HPos::Left, x + reach + 1.5, y),
            (HPos::Right, x - reach - 1.5, y),
            (HPos::Center, x, y - reach - half),
            (HPos::Center, x, y + reach + half),
        ];
        let texts = LETTERS.map(|letters| cut(&clean(name), letters));
        let choices = texts.iter().flat_map(|text| sides.iter().map(move |side| (text, side)));
        let label = choices.into_iter().find_map(|(text, &(side, px, py))| {
            let width = text.chars().count() as f64 * LETTER * SIZE / 12.0;
            let left = match side {
                HPos::Left => px,
                HPos::Right => px - width,
                HPos::Center => px - width / 2.0,
            };
            let frame = [left, py - half, left + width, py + half];
            // A reader's font may be wider.
            let spare = 2.0 + 0.1 * width;
            let inside = left >= spare && left + width <= f64::from(WIDTH) - spare && frame[1] >= 0.0;
            let free = dots_taken.iter().enumerate().all(|(other, dot)| other == at || apart(dot, &frame))
                && taken.iter().all(|other| apart(other, &frame));
            (inside && free && !text.is_empty()).then(|| Label {
                text: text.clone(),
                at: (px, py),
                side,
                frame,
            })
        });
        taken.extend(label.iter().map(|label| label.frame));
        labels.push(label);
    }
    labels
}

fn apart(a: &Frame, b: &Frame) -> bool {
    a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1]
}

#[cfg(test)]
mod tests {
    use super::super::factors::Place;
    use super::*;

    fn places(count: u32) -> Map {
        let place = |item: u32| {
            let turn = f64::from(item) * 2.4;
            Place { item, x: turn.cos() * f64::from(item), y: turn.sin() * f64::from(item) }
        };
        Map { places: (0..count).map(place).collect(), shown: [0.5, 0.3] }
    }

    #[test]
    fn names_never_overlap_each_other_or_a_dot() {
        let map = places(100);
        let names: Vec<String> = (0..100).map(|item| format!("Item number {item}")).collect();
        let dots = dots(&map);
        let labels = labels(&dots, &names);
        let placed: Vec<&Label> = labels.iter().flatten().collect();
        assert!(placed.len() > 10, "{}", placed.len());
        for (at, label) in placed.iter().enumerate() {
            assert!(placed[..at].iter().all(|other| apart(&label.frame, &other.frame)));
            let covered = |&(x, y): &(f64, f64)| {
                label.frame[0] < x && x < label.frame[2] && label.frame[1] < y && y < label.frame[3]
            };
            assert!(!dots.iter().any(covered));
            assert!(label.frame[0] >= 0.0 && label.frame[2] <= f64::from(WIDTH));
        }
    }

    #[test]
    fn dots_stay_inside_even_if_all_lie_on_one_point() {
        for map in [places(100), places(1), Map { places: places(1).places.repeat(3), shown: [1.0, 0.0] }] {
            for (x, y) in dots(&map) {
                assert!((MARGIN - 0.1..=f64::from(WIDTH) - MARGIN + 0.1).contains(&x), "{x}");
                assert!((MARGIN - 0.1..=f64::from(HEIGHT) - MARGIN + 0.1).contains(&y), "{y}");
            }
        }
    }

    #[test]
    fn names_are_escaped() {
        let map = places(3);
        let names = ["<script>alert(1)</script>", "a\u{1b}\"b", "שלום"].map(str::to_owned);
        let drawn = svg(&map, &names, &names, "map of <items>").unwrap();
        assert!(!drawn.contains("<script") && !drawn.contains('\u{1b}'), "{drawn}");
        assert!(drawn.contains("&lt;script&gt;") && drawn.contains("שלום"));
    }
}
