//! `%cache`: what is kept of the results, where, and how large it is; and what a person does about it.

use brooklet_graph::wire::{CacheOrder, CacheReport};

use super::Execution;
use super::errors::{self, Result};
use super::grammar::Call;
use super::text::{self, Table};

impl Execution<'_> {
    /// `%cache [clear [NODE…] | pin NODE… | unpin NODE… | limit [memory=…] [disk=…]]`
    pub(super) fn cache(&self, call: &Call) -> Result<()> {
        let order = order(&call.rest).map_err(|it| errors::usage(&call.error(it)))?;
        let revision = self.revision()?;
        if let CacheOrder::Clear { nodes } | CacheOrder::Pin { nodes } | CacheOrder::Unpin { nodes } = &order
        {
            for name in nodes {
                self.node(&revision, name)?;
            }
        }
        let answer = self.shared.ask(&revision, "it was asked what is kept", |it| it.cache(&order))?;
        let report = answer.map_err(|it| errors::plain("StoreError", it))?;
        if let CacheOrder::Clear { nodes } = &order {
            let all: Vec<String> = revision.graph.nodes.keys().cloned().collect();
            let gone = if nodes.is_empty() { &all } else { nodes };
            self.shared.knowledge().mirror.stale(gone, &revision.graph);
        }
        let table = table(&report);
        let line = summary(&report);
        self.show(
            format!("{}\n\n{}", table.plain().trim_end(), line.trim_end()),
            Some(table.html(&line.trim_end().replace('\n', " · "))),
        );
        Ok(())
    }
}

/// What is asked for.
fn order(rest: &str) -> std::result::Result<CacheOrder, String> {
    let mut words = rest.split_whitespace();
    let first = words.next();
    let nodes: Vec<String> = words.map(str::to_owned).collect();
    match first {
        None => Ok(CacheOrder::Nothing),
        Some("clear") => Ok(CacheOrder::Clear { nodes }),
        Some(word @ ("pin" | "unpin")) if nodes.is_empty() => {
            Err(format!("`{word}` needs the name of a node"))
        }
        Some("pin") => Ok(CacheOrder::Pin { nodes }),
        Some("unpin") => Ok(CacheOrder::Unpin { nodes }),
        Some("limit") => limit(&nodes),
        Some(other) => {
            let near = text::did_you_mean(other, ["clear", "pin", "unpin", "limit"]);
            Err(format!("`{other}` is nothing that can be done to what is kept{near}"))
        }
    }
}

fn limit(pairs: &[String]) -> std::result::Result<CacheOrder, String> {
    let (mut memory, mut disk) = (None, None);
    for pair in pairs {
        let bytes = |it: &str| {
            bytes(it).ok_or_else(|| format!("`{it}` is no size: write `500MB`, `4GB` or a number of bytes"))
        };
        match pair.split_once('=') {
            Some(("memory", it)) => memory = Some(bytes(it)?),
            Some(("disk", it)) => disk = Some(bytes(it)?),
            _ => return Err(format!("`{pair}` is no limit: there are `memory=…` and `disk=…`")),
        }
    }
    match (memory, disk) {
        (None, None) => Err("`limit` needs `memory=…`, `disk=…` or both".to_owned()),
        _ => Ok(CacheOrder::Limit { memory, disk }),
    }
}

/// `4GB`, `1.5 GB` without the space, `300000`.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        _ => return None,
    };
    Some((number * unit) as u64)
}

/// `280 MB`
fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    if unit > 0 && number < 9.95 {
        format!("{number:.1} {}", units[unit])
    } else {
        format!("{number:.0} {}", units[unit])
    }
}

fn table(report: &CacheReport) -> Table {
    let mut table = Table::new(&["node", ">memory", ">disk", ">computed in", ""]);
    for node in &report.nodes {
        let place = |it: Option<u64>| it.map_or_else(|| "–".to_owned(), size);
        let mut notes = Vec::new();
        if node.is_pinned {
            notes.push("pinned".to_owned());
        }
        if !node.only_in_memory.is_empty() {
            let prefix = if node.memory.is_some() { "in memory only: " } else { "" };
            notes.push(format!("{prefix}{}", node.only_in_memory));
        } else if node.disk.is_none() && report.disk.is_some() {
            notes.push("sooner computed than read".to_owned());
        }
        table.row(vec![
            node.node.clone(),
            place(node.memory),
            place(node.disk),
            node.milliseconds.map_or_else(String::new, text::duration),
            notes.join("; "),
        ]);
    }
    table
}

fn summary(report: &CacheReport) -> String {
    let memory = format!(
        "memory: {} in {} (at most {})",
        size(report.memory),
        text::count(report.values as usize, "value"),
        size(report.memory_budget)
    );
    let disk = match report.disk {
        None => "no store on the disk".to_owned(),
        Some(bytes) => format!(
            "disk: {} in .brooklet, {} (at most {})",
            size(bytes),
            text::count(report.results_on_disk as usize, "result"),
            size(report.disk_budget)
        ),
    };
    let hits = format!(
        "found {} in memory and {} on the disk",
        text::count(report.hits_in_memory as usize, "time"),
        text::count(report.hits_on_disk as usize, "time")
    );
    format!("{memory}\n{disk}\n{hits} since the worker started\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_mistakes_told() {
        let nodes = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(order(""), Ok(CacheOrder::Nothing));
        assert_eq!(order("clear"), Ok(CacheOrder::Clear { nodes: Vec::new() }));
        assert_eq!(order("pin a b"), Ok(CacheOrder::Pin { nodes: nodes(&["a", "b"]) }));
        let limit = CacheOrder::Limit { memory: Some(1_500_000_000), disk: Some(300) };
        assert_eq!(order("limit memory=1.5GB disk=300"), Ok(limit));
        for (wrong, says) in [
            ("claer", "did you mean `clear`"),
            ("pin", "needs the name of a node"),
            ("limit", "needs `memory=…`"),
            ("limit memory=much", "`much` is no size"),
            ("limit cpu=3", "is no limit"),
        ] {
            let message = order(wrong).expect_err(wrong);
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn sizes_have_two_digits_at_most_behind_the_point() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 kB"),
            (280_000_000, "280 MB"),
            (10_000_000_000, "10 GB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
