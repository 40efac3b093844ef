//! Small text helpers: colours, tables, near misses, escaping, durations.

use brooklet_graph::html::escape;
use std::fmt::Write as _;

pub const RED: &str = "\x1b[1;31m";
pub const BLUE: &str = "\x1b[1;34m";
pub const CYAN: &str = "\x1b[36m";
pub const BOLD: &str = "\x1b[1m";
pub const DIM: &str = "\x1b[2m";
pub const RESET: &str = "\x1b[0m";

/// The candidate that the word was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|it| (if word.len() > 2 && it.starts_with(word) { 1 } else { distance(word, it) }, it))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// Edits between two words: insert, remove, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// `, did you mean `x`?` or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|it| format!(", did you mean `{it}`?")).unwrap_or_default()
}

/// A duration for people: `0.4 ms`, `12 ms`, `1.25 s`, `2 min 5 s`.
pub fn duration(milliseconds: f64) -> String {
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 1_000.0 {
        format!("{milliseconds:.0} ms")
    } else if milliseconds < 60_000.0 {
        format!("{:.2} s", milliseconds / 1_000.0)
    } else {
        let seconds = (milliseconds / 1_000.0).round() as u64;
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// `1 node`, `3 nodes`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`, in backticks; long lists are cut.
pub fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|it| format!("`{it}`")).collect();
    match (quoted.as_slice(), names.len() - quoted.len()) {
        ([], _) => String::new(),
        ([one], 0) => one.clone(),
        ([firsts @ .., last], 0) => format!("{} and {last}", firsts.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

/// A table in both forms; columns are left aligned unless their heading starts with `>`.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headings: &[&str]) -> Table {
        Table { headings: headings.iter().map(|it| (*it).to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Keeps the first rows and says how many there were: frontends become slow with thousands.
    pub fn cut(mut self, most: usize) -> Table {
        if let Some(more) = self.rows.len().checked_sub(most).filter(|it| *it > 0) {
            self.rows.truncate(most);
            let mut row = vec![String::new(); self.headings.len()];
            row[0] = format!("… {more} more");
            self.rows.push(row);
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn is_right(heading: &str) -> bool {
        heading.starts_with('>')
    }

    pub fn plain(&self) -> String {
        let width = |column: usize| {
            let heading = self.headings[column].trim_start_matches('>').chars().count();
            self.rows.iter().map(|row| row[column].chars().count()).fold(heading, usize::max)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let headings: Vec<String> =
            self.headings.iter().map(|it| it.trim_start_matches('>').to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column] - cell.chars().count());
                let (left, right) =
                    if Table::is_right(&self.headings[column]) { (&*padding, "") } else { ("", &*padding) };
                let _ = write!(line, "{left}{cell}{right}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    pub fn html(&self, caption: &str) -> String {
        // Inline styles, so that the table stays readable after a frontend's sanitiser.
        let align = |column: usize| {
            if Table::is_right(&self.headings[column]) {
                "text-align:right;font-variant-numeric:tabular-nums"
            } else {
                "text-align:left"
            }
        };
        let mut html = String::from("<table class=\"brooklet-table\">");
        if !caption.is_empty() {
            let _ = write!(html, "<caption style=\"text-align:left\">{}</caption>", escape(caption));
        }
        html.push_str("<thead><tr>");
        for (column, heading) in self.headings.iter().enumerate() {
            let heading = escape(heading.trim_start_matches('>'));
            let _ = write!(html, "<th style=\"{}\">{heading}</th>", align(column));
        }
        html.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            html.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let _ = write!(html, "<td style=\"{}\">{}</td>", align(column), escape(cell));
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table>");
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let names = ["spend", "signups", "spend_mean"];
        assert_eq!(nearest("spned", names), Some("spend"));
        assert_eq!(nearest("signup", names), Some("signups"));
        assert_eq!(nearest("spend_m", names), Some("spend_mean"));
        assert_eq!(nearest("total", names), None);
    }

    #[test]
    fn durations_read_well() {
        let all: Vec<String> = [0.04, 9.96, 12.4, 1_250.0, 125_000.0].map(duration).to_vec();
        assert_eq!(all, ["0.0 ms", "10.0 ms", "12 ms", "1.25 s", "2 min 5 s"]);
    }

    #[test]
    fn lists_read_well() {
        let names = |n: usize| (0..n).map(|it| format!("n{it}")).collect::<Vec<_>>();
        assert_eq!(list(&names(1)), "`n0`");
        assert_eq!(list(&names(3)), "`n0`, `n1` and `n2`");
        assert!(list(&names(10)).ends_with("`n7` and 2 more"));
    }

    #[test]
    fn long_tables_are_cut() {
        let mut table = Table::new(&["node"]);
        (0..5).for_each(|it| table.row(vec![it.to_string()]));
        assert_eq!(table.cut(3).plain(), "node\n0\n1\n2\n… 2 more");
    }

    #[test]
    fn tables_align_and_escape() {
        let mut table = Table::new(&["node", ">ms"]);
        table.row(vec!["a<b".into(), "1".into()]);
        table.row(vec!["longer".into(), "100".into()]);
        assert_eq!(table.plain(), "node     ms\na<b       1\nlonger  100");
        assert!(table.html("").contains("a&lt;b"));
    }
}
