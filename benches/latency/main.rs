//! How long single operations take, not on average: appends at a steady rate over many rolls, and waking a reader that waits.
//!
//! `just latency` runs it for a minute and writes a table and charts; `-- --test` is a check of a second. Beside each figure stands
//! what the machine does with the same loop and no engine in it: a loop that has nothing to do still has gaps, in which
//! the machine runs something else.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark fails by panicking, and prints what it found"
)]

mod append;
mod chart;
mod clock;
mod distribution;
mod wake;

use std::path::PathBuf;
use std::time::Duration;

use distribution::Distribution;

/// What is run for how long.
#[derive(Debug, Clone, Copy)]
struct Plan {
    appending: Duration,
    wakes: usize,
}

const FULL: Plan = Plan { appending: Duration::from_secs(60), wakes: 20_000 };
const CHECK: Plan = Plan { appending: Duration::from_secs(1), wakes: 200 };

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let Some([_, data, wakes]) =
        arguments.iter().position(|word| word == wake::FOLLOW).and_then(|at| arguments.get(at..at + 3))
    {
        wake::follow(data.as_ref(), wakes.parse().unwrap());
        return;
    }
    let plan = if arguments.iter().any(|word| word == "--test") { CHECK } else { FULL };
    let out = arguments.iter().position(|word| word == "--out").and_then(|at| arguments.get(at + 1));

    let appends = append::measure(plan.appending);
    table(&format!("Appends of 100 bytes, {} a second for {:?}", append::RATE, plan.appending), &appends);
    let wakes = wake::measure(plan.wakes);
    table(&format!("{} wake-ups", plan.wakes), &wakes);
    if let Some(out) = out.map(PathBuf::from) {
        std::fs::create_dir_all(&out).unwrap();
        chart::draw(&out.join("latency-append.svg"), "Appends, 100 bytes, 100,000 a second", &appends);
        chart::draw(&out.join("latency-wake.svg"), "Waking a reader that waits", &wakes);
    }
}

/// Prints distributions as a Markdown table, in microseconds.
fn table(title: &str, rows: &[Distribution]) {
    println!("\n{title}, microseconds:\n");
    println!("| | p50 | p99 | p99.9 | p99.99 | max |\n|---|---|---|---|---|---|");
    for row in rows {
        print!("| {} |", row.name);
        for quantile in [0.5, 0.99, 0.999, 0.9999, 1.0] {
            print!(" {:.2} |", row.at(quantile).as_secs_f64() * 1e6);
        }
        println!();
    }
}
