//! How fast the content of columns is hashed, against copying the same bytes in the same run.
//!
//! `cargo bench -p brooklet --bench digest` prints gigabytes a second, medians, on one thread.

use std::hint::black_box;
use std::time::Instant;

use brooklet::content::version;
use polars::prelude::*;

const ROWS: usize = 4_000_000;
const RUNS: usize = 21;

fn main() {
    let numbers: Vec<i64> =
        (0..ROWS as i64).map(|it| it.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).collect();
    let floats: Vec<f64> = numbers.iter().map(|it| *it as f64 / 3.0).collect();
    let some: Vec<Option<f64>> = floats.iter().map(|it| (it.to_bits() % 10 != 0).then_some(*it)).collect();
    let short: Vec<String> = numbers.iter().map(|it| format!("{:08x}", *it as u32)).collect();
    let long: Vec<String> =
        numbers.iter().take(ROWS / 4).map(|it| format!("{it:020} and {it:020}")).collect();
    let keys: Vec<String> = numbers.iter().map(|it| format!("key {:03}", it.unsigned_abs() % 300)).collect();

    let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    let mut copy = vec![0u8; bytes.len()];
    let memcpy = rate(bytes.len(), || copy.copy_from_slice(black_box(&bytes)));
    println!("{:<28} {memcpy:6.2} GB/s", "memcpy");
    let text = |strings: &[String]| strings.iter().map(String::len).sum::<usize>() + 4 * strings.len();
    let categories = DataType::from_categories(Categories::global());
    for (name, size, series) in [
        ("i64", ROWS * 8, Series::new("a".into(), &numbers)),
        ("f64", ROWS * 8, Series::new("a".into(), &floats)),
        ("f64, one in ten null", ROWS * 8, Series::new("a".into(), &some)),
        ("strings of 8 bytes", text(&short), Series::new("a".into(), &short)),
        ("strings of 45 bytes", text(&long), Series::new("a".into(), &long)),
        (
            "categories",
            ROWS * 4,
            Series::new("a".into(), &keys).cast(&categories).expect("text can be a category"),
        ),
    ] {
        // A slice is another series to whoever remembers versions.
        let rate = rate(size, || {
            black_box(version(&series.slice(0, series.len())));
        });
        println!("{name:<28} {rate:6.2} GB/s, {:.2} of memcpy", rate / memcpy);
    }
    let frame = DataFrame::new(ROWS, vec![Column::new("a".into(), &floats)]).expect("one column is a frame");
    let _ = version(&frame);
    let again = time(|| {
        black_box(version(&frame));
    });
    println!("{:<28} {:6.1} us", "a frame that is known", again * 1e6);
}

/// Gigabytes a second.
fn rate(bytes: usize, run: impl FnMut()) -> f64 {
    bytes as f64 / time(run) / 1e9
}

/// The median in seconds.
fn time(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
