//! Two panels of curves as SVG: RMSE against epochs and against seconds, both
//! on a logarithmic axis, since methods differ by orders of magnitude.

use std::fmt::Write;

/// One method's run.
pub(crate) struct Curve {
    /// Its name in the legend.
    pub(crate) name: String,
    /// RMSE after each epoch.
    pub(crate) rmse: Vec<f64>,
    /// Seconds of all epochs, taken to be equally long.
    pub(crate) seconds: f64,
}

/// A picture of some runs.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
}

/// Okabe and Ito's colours, told apart by the colour-blind, without the yellow.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const DASHES: [&str; 2] = ["none", "6 3"];

const TOP: f64 = 52.0;
const HEIGHT: f64 = 300.0;
const WIDTH: f64 = 330.0;
const LEFT: [f64; 2] = [56.0, 426.0];
const LEGEND: f64 = TOP + HEIGHT + 52.0;
/// Curves above this many times the best RMSE say only that they have begun.
const TALLEST: f64 = 1.12;

impl Chart {
    /// The picture.
    pub(crate) fn svg(&self) -> String {
        let rows = self.curves.len().div_ceil(3);
        let height = LEGEND + 20.0 * rows as f64 + 8.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 {height}\" width=\"780\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{}\" y=\"26\" font-size=\"15\">{}</text>\n",
            LEFT[0], self.title
        );
        let epochs: fn(&Curve, usize) -> f64 = |_, at| (at + 1) as f64;
        let seconds: fn(&Curve, usize) -> f64 = |c, at| c.seconds * (at + 1) as f64 / c.rmse.len() as f64;
        self.panel(&mut svg, LEFT[0], "epochs", epochs);
        self.panel(&mut svg, LEFT[1], "seconds of training", seconds);
        for (i, curve) in self.curves.iter().enumerate() {
            let (x, y) = (LEFT[0] + 240.0 * (i % 3) as f64, LEGEND + 20.0 * (i / 3) as f64);
            let last = curve.rmse.last().copied().unwrap_or(f64::NAN);
            line(&mut svg, &format!("{x},{y} {},{y}", x + 26.0), i);
            text(&mut svg, x + 34.0, y + 4.0, "start", &format!("{}: {last:.4}", curve.name));
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn panel(&self, svg: &mut String, left: f64, label: &str, place: fn(&Curve, usize) -> f64) {
        let all = self.curves.iter().flat_map(|c| (0..c.rmse.len()).map(move |at| place(c, at)));
        let (first, last) = all.fold((f64::INFINITY, 0.0_f64), |(a, b), x| (a.min(x), b.max(x)));
        let best = self.curves.iter().flat_map(|c| &c.rmse).copied().fold(f64::INFINITY, f64::min);
        let (low, high) = (((best - 0.005) * 100.0).floor() / 100.0, (best * TALLEST * 100.0).ceil() / 100.0);
        let x = |value: f64| left + WIDTH * (value / first).ln() / (last / first).ln();
        let y = |rmse: f64| TOP + HEIGHT * (high - rmse.min(high)) / (high - low);

        let mut rmse = (low * 50.0).ceil() / 50.0;
        while rmse <= high + 1e-9 {
            grid(svg, left, y(rmse), left + WIDTH, y(rmse));
            text(svg, left - 6.0, y(rmse) + 4.0, "end", &format!("{rmse:.2}"));
            rmse += 0.02;
        }
        for tick in ticks(first, last) {
            grid(svg, x(tick), TOP, x(tick), TOP + HEIGHT);
            text(svg, x(tick), TOP + HEIGHT + 16.0, "middle", &format!("{tick}"));
        }
        text(svg, left + WIDTH / 2.0, TOP + HEIGHT + 34.0, "middle", label);
        text(svg, left - 6.0, TOP - 10.0, "start", "test RMSE");
        for (i, curve) in self.curves.iter().enumerate() {
            // Only what is inside, and the last point above, where the curve comes in.
            let begin = curve.rmse.iter().position(|&rmse| rmse < high).unwrap_or(curve.rmse.len());
            let points: Vec<String> = (begin.saturating_sub(1)..curve.rmse.len())
                .map(|at| format!("{:.1},{:.1}", x(place(curve, at)), y(curve.rmse[at])))
                .collect();
            line(svg, &points.join(" "), i);
        }
    }
}

/// 1, 2 and 5 times powers of ten between two numbers; fewer where they would crowd.
fn ticks(first: f64, last: f64) -> Vec<f64> {
    let decades = first.log10().floor() as i32..=last.log10().ceil() as i32;
    let steps: &[f64] = if (last / first).log10() > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all = decades.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    // 0.30000000000000004 is no label.
    let round = |tick: f64| (tick * 1e6).round() / 1e6;
    all.map(round).filter(|tick| (first * 0.999..=last * 1.001).contains(tick)).collect()
}

// Writing to a String can't fail.

fn grid(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn line(svg: &mut String, points: &str, index: usize) {
    let (colour, dash) = (COLOURS[index % COLOURS.len()], DASHES[index / COLOURS.len() % DASHES.len()]);
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>"
    );
}
