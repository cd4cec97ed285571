//! Charts as SVG, drawn by `plotters` in a few fixed colours that the page's style sheet knows.
//!
//! What is drawn in which way: the first series is solid with round marks, the second dashed with
//! squares, the third dotted with triangles, so that none needs its colour to be told. Colours are
//! attributes; `report.css` finds them by their value to change them in the dark and to set dashes.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::scale::Scale;
use super::text::{clean, escape};
use crate::error::{Error, Result};

/// Units of the drawing to a pixel, so that lines are smooth though coordinates are whole numbers.
pub(super) const UNIT: i32 = 4;
/// A chart's width in pixels, as on a phone; it grows with the page.
pub(super) const WIDTH: i32 = 480;
const HEIGHT: i32 = 290;
/// Width of a letter in pixels, about.
pub(super) const LETTER: f64 = 6.3;
/// Marks of a line at most.
const MARKS: usize = 14;

/// A way to draw a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Solid, round marks, filled bars.
    First,
    /// Dashed, square marks, outlined bars.
    Second,
    /// Dotted, triangular marks.
    Third,
    /// A line to compare with, without marks.
    Guide,
}

const TEXT: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const SOFT: RGBColor = RGBColor(0x59, 0x63, 0x6e);
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);

impl Ink {
    fn color(self) -> RGBColor {
        match self {
            Ink::First => RGBColor(0x00, 0x5a, 0xb5),
            Ink::Second => RGBColor(0xc4, 0x4e, 0x00),
            Ink::Third => RGBColor(0x00, 0x7a, 0x5a),
            Ink::Guide => RGBColor(0x6e, 0x77, 0x81),
        }
    }
}

/// What is drawn of a series.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// A line with a mark here and there.
    Line(Vec<(f64, f64)>),
    /// A line without marks.
    Plain(Vec<(f64, f64)>),
    /// Bars from 0: left, right, height.
    Bars(Vec<(f64, f64, f64)>),
    /// Vertical lines: place, from, to.
    Spans(Vec<(f64, f64, f64)>),
}

/// A series with its name in the legend; none without one.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: Option<&'static str>,
    pub(super) ink: Ink,
    pub(super) form: Form,
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What it is called, for whoever can't see it.
    pub(super) title: String,
    pub(super) x: (Scale, String),
    pub(super) y: (Scale, String),
    pub(super) series: Vec<Series>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Scale, Scale>>;

impl Chart {
    /// The SVG element.
    pub(super) fn svg(&self) -> Result<String> {
        let mut drawn = String::new();
        {
            let backend =
                SVGBackend::with_string(&mut drawn, ((WIDTH * UNIT) as u32, (HEIGHT * UNIT) as u32));
            let area = backend.into_drawing_area();
            self.draw(&area).and_then(|()| area.present().map_err(failed))?;
        }
        Ok(finished(&drawn, &self.title, "chart", ""))
    }

    fn draw(&self, area: &Area<'_>) -> Result<()> {
        let mut plane: Plane<'_> = ChartBuilder::on(area)
            .margin_top(26 * UNIT)
            .margin_right(14 * UNIT)
            .margin_left(4 * UNIT)
            .x_label_area_size(40 * UNIT)
            .y_label_area_size(48 * UNIT)
            .build_cartesian_2d(self.x.0.clone(), self.y.0.clone())
            .map_err(failed)?;
        plane
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TEXT.mix(0.0))
            .bold_line_style(line(GRID, 1.0))
            .axis_style(line(SOFT, 1.0))
            .label_style(text(12.0, SOFT))
            .axis_desc_style(text(12.0, TEXT))
            .set_all_tick_mark_size(4 * UNIT)
            .x_desc(self.x.1.as_str())
            .draw()
            .map_err(failed)?;
        write(area, &self.y.1, (6.0, 12.0), text(12.0, TEXT))?;
        for series in &self.series {
            series.draw(&mut plane)?;
        }
        self.legend(area)
    }

    /// Names above the plot, right to left, each behind a piece of its line.
    fn legend(&self, area: &Area<'_>) -> Result<()> {
        let mut right = f64::from(WIDTH) - 14.0;
        for series in self.series.iter().rev() {
            let Some(name) = series.name else { continue };
            let left = right - name.chars().count() as f64 * LETTER;
            write(area, name, (left, 12.0), text(12.0, TEXT))?;
            let (from, to) = (left - 26.0, left - 5.0);
            let style = series.style();
            match series.form {
                Form::Bars(_) if series.ink == Ink::First => {
                    let corners = [point((to - 12.0, 7.0)), point((to, 17.0))];
                    area.draw(&Rectangle::new(corners, series.ink.color().filled())).map_err(failed)?;
                }
                Form::Bars(_) => {
                    let corners = [point((to - 12.0, 7.0)), point((to, 17.0))];
                    area.draw(&Rectangle::new(corners, style)).map_err(failed)?;
                }
                Form::Spans(_) => {}
                Form::Line(_) | Form::Plain(_) => {
                    let ends = vec![point((from, 12.0)), point((to, 12.0))];
                    area.draw(&PathElement::new(ends, style)).map_err(failed)?;
                }
            }
            if matches!(series.form, Form::Line(_)) {
                let at = point(((from + to) / 2.0, 12.0));
                mark(series.ink, at, &mut |element| match element {
                    Mark::Round(circle) => area.draw(&circle).map_err(failed),
                    Mark::Cornered(polygon) => area.draw(&polygon).map_err(failed),
                })?;
            }
            right = from - 12.0;
        }
        Ok(())
    }
}

impl Series {
    fn style(&self) -> ShapeStyle {
        line(self.ink.color(), if self.ink == Ink::Guide { 1.25 } else { 2.0 })
    }

    fn draw(&self, plane: &mut Plane<'_>) -> Result<()> {
        let style = self.style();
        match &self.form {
            Form::Line(points) | Form::Plain(points) => {
                if points.len() > 1 {
                    let path = PathElement::new(points.clone(), style);
                    plane.draw_series([path]).map_err(failed)?;
                }
                if matches!(self.form, Form::Line(_)) {
                    let every = points.len().div_ceil(MARKS).max(1);
                    let last = points.len().saturating_sub(1);
                    let marked =
                        points.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(every));
                    self.marks(plane, marked.map(|(_, point)| *point))?;
                }
            }
            Form::Bars(bars) => {
                let style = if self.ink == Ink::First { self.ink.color().filled() } else { style };
                let bars =
                    bars.iter().map(|&(left, right, y)| Rectangle::new([(left, 0.0), (right, y)], style));
                plane.draw_series(bars).map_err(failed)?;
            }
            Form::Spans(spans) => {
                let spans =
                    spans.iter().map(|&(x, low, high)| PathElement::new(vec![(x, low), (x, high)], style));
                plane.draw_series(spans).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn marks(&self, plane: &Plane<'_>, points: impl Iterator<Item = (f64, f64)>) -> Result<()> {
        // The marks have a size in pixels: they are drawn on the plane's place in the whole drawing.
        let area = plane.plotting_area().strip_coord_spec();
        let (left, top) = area.get_base_pixel();
        for (x, y) in points {
            let (px, py) = plane.backend_coord(&(x, y));
            mark(self.ink, (px - left, py - top), &mut |element| match element {
                Mark::Round(circle) => area.draw(&circle).map_err(failed),
                Mark::Cornered(polygon) => area.draw(&polygon).map_err(failed),
            })?;
        }
        Ok(())
    }
}

enum Mark {
    Round(Circle<(i32, i32), i32>),
    Cornered(Polygon<(i32, i32)>),
}

/// A mark of about 7 pixels around a point.
fn mark(ink: Ink, (x, y): (i32, i32), draw: &mut dyn FnMut(Mark) -> Result<()>) -> Result<()> {
    let reach = 7 * UNIT / 2;
    let filled = ink.color().filled();
    draw(match ink {
        Ink::First | Ink::Guide => Mark::Round(Circle::new((x, y), reach, filled)),
        Ink::Second => Mark::Cornered(Polygon::new(
            vec![
                (x - reach, y - reach),
                (x + reach, y - reach),
                (x + reach, y + reach),
                (x - reach, y + reach),
            ],
            filled,
        )),
        Ink::Third => {
            let (wide, low) = (reach * 6 / 5, reach);
            Mark::Cornered(Polygon::new(
                vec![(x - wide, y + low), (x + wide, y + low), (x, y - wide)],
                filled,
            ))
        }
    })
}

fn line(color: RGBColor, width: f64) -> ShapeStyle {
    color.stroke_width((width * f64::from(UNIT)) as u32)
}

/// Text of a size in pixels, its left end and its middle at its point.
fn text(size: f64, color: RGBColor) -> TextStyle<'static> {
    // plotters divides sizes by 1.24.
    let font = ("sans-serif", size * 1.24 * f64::from(UNIT)).into_font();
    font.color(&color).pos(Pos::new(HPos::Left, VPos::Center))
}

fn write(area: &Area<'_>, what: &str, at: (f64, f64), style: TextStyle<'static>) -> Result<()> {
    area.draw(&Text::new(clean(what), point(at), style)).map_err(failed)
}

fn point((x, y): (f64, f64)) -> (i32, i32) {
    ((x * f64::from(UNIT)) as i32, (y * f64::from(UNIT)) as i32)
}

/// What was drawn as an element of a page that grows with it: named for whoever can't see it, and
/// without what says nothing.
pub(super) fn finished(drawn: &str, title: &str, class: &str, more: &str) -> String {
    let inside = drawn.split_once('>').map_or("", |(_, inside)| inside);
    let inside = inside.trim_end().strip_suffix("</svg>").unwrap_or(inside);
    let inside =
        inside.replace(" opacity=\"1\"", "").replace(" \"/>", "\"/>").replace(" stroke=\"none\"", "");
    let view = drawn.split("viewBox=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("0 0 1 1");
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" viewBox=\"{view}\" role=\"img\" \
         aria-label=\"{title}\"><title>{title}</title>{inside}{more}</svg>"
    )
}

/// No drawing can fail: it goes into memory.
fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a chart: {error}"))
}
