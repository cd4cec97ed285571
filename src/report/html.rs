//! The page: its frame, its figures and its tables.

use super::text::{escape, of_data, prose};

/// A picture with its sentence and its numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Figure {
    pub(super) title: String,
    /// What it shows, how to read it, and what good looks like.
    pub(super) reading: String,
    /// The picture, as an element; none where there is nothing to draw.
    pub(super) svg: Option<String>,
    /// Behind the picture.
    pub(super) numbers: Table,
    /// Whether it takes the page's whole width.
    pub(super) wide: bool,
}

/// Rows of cells; the first column is text, the others are numbers unless `texts`.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Whether all columns are text.
    pub(super) texts: bool,
}

impl Table {
    pub(super) fn new(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Self { head, rows: rows.into_iter().collect(), texts: false }
    }

    /// All columns as text.
    pub(super) fn of_texts(self) -> Self {
        Self { texts: true, ..self }
    }

    pub(super) fn html(&self) -> String {
        let class = if self.texts { "texts" } else { "numbers" };
        let mut html = format!("<div class=\"scroll\" tabindex=\"0\"><table class=\"{class}\">");
        if !self.head.is_empty() {
            let cells: String =
                self.head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
            html += &format!("<thead><tr>{cells}</tr></thead>");
        }
        html += "<tbody>";
        for row in &self.rows {
            let cell = |(at, text): (usize, &String)| match at {
                0 => format!("<th scope=\"row\">{}</th>", of_data(text)),
                _ => format!("<td>{}</td>", of_data(text)),
            };
            html += &format!("<tr>{}</tr>", row.iter().enumerate().map(cell).collect::<String>());
        }
        html + "</tbody></table></div>"
    }
}

impl Figure {
    pub(super) fn html(&self) -> String {
        let class = if self.wide { "figure wide" } else { "figure" };
        let mut html = format!(
            "<figure class=\"{class}\"><h3>{}</h3><figcaption>{}</figcaption>",
            escape(&self.title),
            prose(&self.reading)
        );
        html += self.svg.as_deref().unwrap_or_default();
        if !self.numbers.rows.is_empty() {
            html += &match self.svg {
                Some(_) => {
                    format!("<details><summary>The numbers</summary>{}</details>", self.numbers.html())
                }
                None => self.numbers.html(),
            };
        }
        html + "</figure>"
    }
}

/// A part of the page with its heading.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    /// For links within the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What stands before the figures, as elements.
    pub(super) before: String,
    pub(super) figures: Vec<Figure>,
}

impl Section {
    fn html(&self) -> String {
        let Self { id, title, before, figures } = self;
        let figures: String = figures.iter().map(Figure::html).collect();
        format!(
            "<section id=\"{id}\"><h2>{}</h2>{before}<div class=\"figures\">{figures}</div></section>\n",
            escape(title)
        )
    }
}

/// A paragraph.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", prose(text))
}

/// A paragraph that says what is missing, or must be known.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>", prose(text))
}

/// The whole page. `title` and `subtitle` are text, `sections` in their order.
pub(super) fn page(title: &str, subtitle: &str, sections: &[Section]) -> String {
    let links: String = sections
        .iter()
        .map(|section| format!("<a href=\"#{}\">{}</a>", section.id, escape(section.title)))
        .collect();
    let sections: String = sections.iter().map(Section::html).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/>\
         <title>{title}</title>\n<style>\n{style}</style></head>\n<body><header><h1>{shown}</h1>\
         <p class=\"sub\">{subtitle}</p><nav>{links}</nav></header>\n<main>\n{sections}</main>\n</body></html>\n",
        title = escape(title),
        shown = of_data(title),
        subtitle = escape(subtitle),
        style = include_str!("report.css"),
    )
}
