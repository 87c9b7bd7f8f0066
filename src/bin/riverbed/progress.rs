//! How far a long command has come: a bar on standard error, if that is a terminal; it goes away when it is dropped.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// A bar that counts bytes, with rate and time left.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    bar(
        total,
        "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        "{spinner} {binary_bytes}, {binary_bytes_per_sec}",
    )
}

/// A bar that counts records, with rate and time left.
pub(crate) fn records(total: Option<u64>) -> ProgressBar {
    bar(
        total,
        "{wide_bar} {human_pos} of {human_len} records, {per_sec}, {eta} left",
        "{spinner} {human_pos} records, {per_sec}",
    )
}

fn bar(total: Option<u64>, known: &str, unknown: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), known),
        None => (ProgressBar::new_spinner(), unknown),
    };
    let bar = bar.with_finish(ProgressFinish::AndClear);
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if total.is_none() {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}
