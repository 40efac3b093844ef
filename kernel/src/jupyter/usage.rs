//! `usage_request`: memory and processor of the kernel and its children, for JupyterLab's status bar.
//!
//! Everything is read from `/proc`. A number that cannot be read is 0: the extension that asks shows
//! numbers and nothing else, and a child may end between two lines of this file.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde_json::json;

use super::content::Content;

/// `USER_HZ`: `/proc` counts processor time in these on every Linux platform that Rust knows.
const TICKS_PER_SECOND: f64 = 100.0;

/// Remembers the last reading, since a share of processor time is the difference of two.
#[derive(Default)]
pub struct Meter {
    last: Option<Reading>,
}

struct Reading {
    at: Instant,
    /// Ticks by process. Kept apart so that a child which ends does not make the sum fall.
    processes: BTreeMap<u32, u64>,
    host: Host,
}

/// The first line of `/proc/stat`.
#[derive(Clone, Copy, Default)]
struct Host {
    busy: u64,
    total: u64,
}

impl Meter {
    /// `usage_reply` for this process and its children.
    pub fn answer(&mut self, children: &[u32]) -> Content {
        let own = std::process::id();
        let reading = Reading {
            at: Instant::now(),
            processes: (std::iter::once(own).chain(children.iter().copied()))
                .map(|process| (process, ticks(process)))
                .collect(),
            host: host(),
        };
        let memory: u64 = reading.processes.keys().map(|process| resident(*process)).sum();
        let (kernel_cpu, host_cpu) = self.last.as_ref().map_or((0.0, 0.0), |last| share(last, &reading));
        self.last = Some(reading);

        let lines = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = kilobytes(&lines, "MemTotal:");
        let available = kilobytes(&lines, "MemAvailable:");
        let used = total.saturating_sub(available);
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Content::new(
            "usage_reply",
            &json!({
                "status": "ok",
                "hostname": hostname.trim(),
                "pid": own,
                "kernel_cpu": kernel_cpu,
                "kernel_memory": memory,
                "host_cpu_percent": host_cpu,
                "cpu_count": std::thread::available_parallelism().map_or(1, usize::from),
                "host_virtual_memory": {
                    "total": total,
                    "available": available,
                    "used": used,
                    "free": kilobytes(&lines, "MemFree:"),
                    "percent": if total == 0 { 0.0 } else { used as f64 * 100.0 / total as f64 },
                },
            }),
        )
    }
}

/// Per cent of one processor for the kernel, of all processors for the host.
fn share(last: &Reading, now: &Reading) -> (f64, f64) {
    let seconds = now.at.duration_since(last.at).as_secs_f64();
    let spent: u64 = (now.processes.iter())
        .map(|(process, ticks)| ticks.saturating_sub(last.processes.get(process).copied().unwrap_or(0)))
        .sum();
    let kernel = if seconds > 0.0 { spent as f64 / TICKS_PER_SECOND / seconds * 100.0 } else { 0.0 };
    let busy = now.host.busy.saturating_sub(last.host.busy) as f64;
    let total = now.host.total.saturating_sub(last.host.total) as f64;
    (kernel, if total > 0.0 { busy * 100.0 / total } else { 0.0 })
}

/// Processor time of a process, user and system.
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is the name in parentheses, which may itself hold spaces and parentheses.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Memory of a process in bytes.
fn resident(process: u32) -> u64 {
    kilobytes(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), "VmRSS:")
}

/// The value of a `name:   123 kB` line, in bytes.
fn kilobytes(lines: &str, name: &str) -> u64 {
    let value = lines.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    value.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn host() -> Host {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<u64> = (stat.lines().next().unwrap_or_default().split_whitespace())
        .filter_map(|field| field.parse().ok())
        .take(8)
        .collect();
    // user nice system idle iowait irq softirq steal
    let idle: u64 = numbers.iter().skip(3).take(2).sum();
    let total: u64 = numbers.iter().sum();
    Host { busy: total.saturating_sub(idle), total }
}
