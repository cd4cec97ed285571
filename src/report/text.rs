//! Text from data, made fit for a page.

/// Without the characters that XML and HTML don't have, or that would act rather than show.
pub(super) fn clean(text: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// As text between tags or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Our own words, escaped; what stands between backticks is code.
pub(super) fn prose(text: &str) -> String {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    text.split('`').enumerate().map(part).collect()
}

/// Escaped, and kept from turning what stands beside it where it is written from right to left.
pub(super) fn of_data(text: &str) -> String {
    if text.is_ascii() { escape(text) } else { format!("<bdi>{}</bdi>", escape(text)) }
}

/// At most so many letters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `12.3%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// `1.2 MiB`, in the units of the command line.
pub(super) fn bytes(number: u64) -> String {
    let n = number as f64;
    let [kibi, mebi, gibi] = [10, 20, 30].map(|power| 1_u64 << power);
    match number {
        n if n < kibi => format!("{n} bytes"),
        _ if number < mebi => format!("{:.2} KiB", n / kibi as f64),
        _ if number < gibi => format!("{:.2} MiB", n / mebi as f64),
        _ => format!("{:.2} GiB", n / gibi as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_data_is_markup() {
        assert_eq!(
            escape("<script>alert(\"1\" & '2')</script>"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;"
        );
        assert_eq!(
            escape("a\0b\u{1b}[31m\n\u{85}\u{ffff}"),
            "a\u{fffd}b\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(prose("pass `--rank` & <b>"), "pass <code>--rank</code> &amp; &lt;b&gt;");
        assert_eq!(of_data("plain"), "plain");
        assert_eq!(of_data("שלום <b>"), "<bdi>שלום &lt;b&gt;</bdi>");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 1_234, 4_593_123].map(bytes), ["12 bytes", "1.21 KiB", "4.38 MiB"]);
        assert_eq!(percent(0.1234), "12.3%");
    }

    #[test]
    fn long_text_is_cut_between_letters() {
        assert_eq!(cut("Zoë", 3), "Zoë");
        assert_eq!(cut("Zoë and her friends", 6), "Zoë a…");
        assert_eq!(cut("Zoë and", 5), "Zoë…");
    }
}
