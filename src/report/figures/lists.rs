//! What people would be recommended.

use super::super::Report;
use super::super::chart::{Chart, Form, Ink};
use super::super::html::{Figure, Table};
use super::super::lists::{LENGTH, Lists};
use super::super::ranked::Ranked;
use super::super::scale::Scale;
use super::super::text::percent;
use super::{figure, missing, number, series};
use crate::data::text::measured;
use crate::error::Result;
use crate::model::Ranking;

pub(in super::super) fn figures(report: &Report<'_>) -> Result<Vec<Figure>> {
    let Some(lists) = &report.lists else {
        let why = "Nobody has an item left that could be recommended.";
        return Ok(vec![missing("Popularity of what is recommended", why)]);
    };
    let mut figures = vec![popularity(lists)?, coverage(report, lists)];
    figures.extend(report.ranked.as_ref().map(ranking));
    Ok(figures)
}

fn ranking(ranked: &Ranked) -> Figure {
    let Ranked { report, users, some } = ranked;
    let bias = report.bias.as_ref().map(|bias| ("bias alone", bias));
    let scorers = [("this model", &report.model), ("popularity", &report.popularity)].into_iter().chain(bias);
    let all = |of: &Ranking| -> Vec<(String, Option<f64>)> {
        let top = of
            .top
            .iter()
            .flat_map(|top| top.values.iter().map(|&(name, value)| (format!("{name}@{}", top.k), value)));
        top.chain(of.whole.iter().map(|&(name, value)| (name.to_owned(), value))).collect()
    };
    let names = all(&report.model).into_iter().map(|(name, _)| name);
    let cell = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let rows = scorers.map(|(name, of)| {
        std::iter::once(name.to_owned()).chain(all(of).into_iter().map(|(_, value)| cell(value))).collect()
    });
    let head = std::iter::once(String::new()).chain(names).collect();
    let counts = &report.counts;
    let of = match some {
        true => format!("{} of {} users, evenly spaced,", number(counts.users), number(*users)),
        false => format!("{} users", number(counts.users)),
    };
    Figure {
        title: "How well lists rank".to_owned(),
        reading: format!(
            "{of} with {} relevant items among those that they did not rate in training: held-out ratings of {} or \
             higher. All measures go from 0 to 1, the more the better (`deltav evaluate --help` has the formulas). \
             People rate what they hear of, so that mere popularity is hard to beat here, even for a model that \
             predicts ratings well.",
            number(counts.relevant),
            measured(report.threshold)
        ),
        numbers: Table { head, rows: rows.collect(), texts: false },
        wide: true,
        ..Figure::default()
    }
}

fn popularity(lists: &Lists) -> Result<Figure> {
    let parts = &lists.parts;
    let names: Vec<String> = (1..=parts.len()).map(|at| at.to_string()).collect();
    let rows = parts.iter().zip(&names).map(|(part, name)| {
        let ratings = if part.most == part.least {
            number(part.most)
        } else {
            format!("{} to {}", number(part.least), number(part.most))
        };
        vec![name.clone(), number(part.items), ratings, percent(part.rated), percent(part.listed)]
    });
    let head = ["part", "items", "training ratings each", "share of training ratings", "share of lists"];
    let table = Table::new(&head, rows);
    let bars = |from: f64, to: f64, of: &dyn Fn(usize) -> f64| {
        (0..parts.len()).map(|at| (at as f64 + from, at as f64 + to, 100.0 * of(at))).collect()
    };
    let shares = parts.iter().flat_map(|part| [100.0 * part.rated, 100.0 * part.listed]);
    let chart = Chart {
        title: "Popularity of what is recommended".to_owned(),
        x: (Scale::names(&names), "tenths of the items, the most popular first".to_owned()),
        y: (Scale::from_zero(shares, 5), "percent".to_owned()),
        series: vec![
            series("of training ratings", Ink::First, Form::Bars(bars(-0.4, -0.02, &|at| parts[at].rated))),
            series("of recommendations", Ink::Second, Form::Bars(bars(0.02, 0.4, &|at| parts[at].listed))),
        ],
    };
    let reading = format!(
        "Filled bars: where people's ratings went. Outlined bars: where the lists of {LENGTH} go. Outlines that tower \
         over the fills at the left mean lists that push what is popular anyway; outlines at the right mean lists of \
         what hardly anybody knows."
    );
    figure(&chart, reading, table)
}

fn coverage(report: &Report<'_>, lists: &Lists) -> Figure {
    let mut rows = vec![
        vec!["items in anyone's list".to_owned(), number(lists.listed)],
        vec!["of all items with a rating".to_owned(), number(lists.items)],
        vec!["coverage".to_owned(), percent(lists.listed as f64 / lists.items as f64)],
        vec!["ratings of a listed item, mean".to_owned(), format!("{:.1}", lists.mean_listed)],
        vec!["ratings of an item as it is rated, mean".to_owned(), format!("{:.1}", lists.mean_rated)],
        vec![format!("lists of {LENGTH} that were made"), number(lists.users)],
    ];
    if let Some((item, count)) = lists.commonest {
        let share = percent(count as f64 / lists.users as f64);
        rows.push(vec!["in most lists".to_owned(), report.name_of(item)]);
        rows.push(vec!["that is in so many of the lists".to_owned(), share]);
    }
    let some = match lists.users < lists.known_users {
        true => format!(" Of {} users, these are evenly spaced ones.", number(lists.known_users)),
        false => String::new(),
    };
    Figure {
        title: "Coverage".to_owned(),
        reading: format!(
            "How much of the catalogue anybody gets to see in a list of the {LENGTH} best items that they have not \
             rated. More is more varied; a few percent mean that all get about the same list.{some}"
        ),
        numbers: Table { rows, texts: true, ..Table::default() },
        ..Figure::default()
    }
}
