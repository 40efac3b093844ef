//! Reads cargo's progress from its stderr.
//!
//! Cargo says how far it is only in the progress bar it draws for terminals, so it is told to draw one
//! (`CARGO_TERM_PROGRESS_WHEN=always`), and the bar is read here: `Building [===>  ] 12/393: serde, syn`.

use std::io::Read;
use std::time::Instant;

use super::Progress;

/// Environment that makes cargo write what `read` understands.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("CARGO_TERM_PROGRESS_WHEN", "always"),
    ("CARGO_TERM_PROGRESS_WIDTH", "160"),
    ("CARGO_TERM_COLOR", "never"),
];

/// Reads to the end of the stream, reporting each new state; returns the lines that were no progress bar.
pub fn read(mut from: impl Read, started: Instant, report: &dyn Fn(&Progress)) -> String {
    let mut log = String::new();
    let mut pending = Vec::new();
    let mut buffer = [0; 4096];
    let mut last = None;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for &byte in &buffer[..count] {
            if byte != b'\r' && byte != b'\n' {
                pending.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&pending).trim().to_owned();
            pending.clear();
            match parse(&line) {
                Some((what, done, _)) if last.as_ref() == Some(&(what.clone(), done)) => {}
                Some((what, done, total)) => {
                    last = Some((what.clone(), done));
                    report(&Progress { what, done, total, elapsed: started.elapsed() });
                }
                None if line.starts_with("Blocking") => report(&Progress {
                    what: "waiting for another cargo to finish".to_owned(),
                    done: 0,
                    total: 0,
                    elapsed: started.elapsed(),
                }),
                None if !line.is_empty() => {
                    log.push_str(&line);
                    log.push('\n');
                }
                None => {}
            }
        }
    }
    log
}

/// `Building [=====>     ] 12/393: serde, syn(build)` as (what, done, total).
fn parse(line: &str) -> Option<(String, u32, u32)> {
    let start = line.find("Building [")?;
    let (_, rest) = line[start..].split_once("] ")?;
    let (counts, what) = rest.split_once(": ").unwrap_or((rest, ""));
    let (done, total) = counts.trim().split_once('/')?;
    let what = what.split('\u{1b}').next().unwrap_or_default().trim_end_matches("...").trim();
    Some((what.to_owned(), done.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_bar_is_read_and_other_lines_are_kept() {
        let text = "   Compiling serde v1.0\r\n    Building [=>   ] 1/3: serde, syn(build)\r    Building [==>  ] 2/3: polars\n\
                    error: no space left\n";
        let seen = RefCell::new(Vec::new());
        let log = read(text.as_bytes(), Instant::now(), &|it| {
            seen.borrow_mut().push((it.what.clone(), it.done, it.total));
        });
        assert_eq!(seen.into_inner(), [("serde, syn(build)".to_owned(), 1, 3), ("polars".to_owned(), 2, 3)]);
        assert_eq!(log, "Compiling serde v1.0\nerror: no space left\n");
    }

    #[test]
    fn a_bar_without_names_has_counts() {
        assert_eq!(parse("Building [====] 4/4"), Some((String::new(), 4, 4)));
        assert_eq!(parse("Finished `release` profile"), None);
    }
}
