//! The figures as a page of Markdown.

use crate::machine;
use crate::peer::{Kind, Part, Peer};
use crate::results::{Row, Summary, failure, summary};
use crate::workload::{REOPEN_RECORDS, Workload};

/// The tables, each with the workloads beside each other in it.
const TABLES: [(&str, &str, &[Workload]); 4] = [
    (
        "Appending, nothing waits for the disk",
        "Records per second, one thread.",
        &[Workload::Append(100), Workload::Append(1024), Workload::Append(65_536), Workload::Batch],
    ),
    (
        "Appending, on disk before the call returns",
        "Records per second.",
        &[Workload::Synced(1), Workload::Synced(16), Workload::BatchSynced],
    ),
    (
        "Reading",
        "Records per second, in order, by a fresh process; the files are in the page cache.",
        &[Workload::Read],
    ),
    (
        "Opening after a kill",
        "Milliseconds until the log is open, less is better, and how many of the 100,000 acknowledged records are there then.",
        &[Workload::Reopen],
    ),
];

const CHARTS: [&[&str]; 4] = [&["append", "batch"], &["synced"], &["read"], &["reopen"]];

pub fn markdown(rows: &[Row], peers: &[Peer], machine: &str) -> String {
    let mut page =
        String::from("# Riverbed and its peers, measured\n\nWritten by `just peers`; do not edit. ");
    page += "[README.md](README.md) says what is measured and how, and what each one guarantees. ";
    page += "[peers.csv](peers.csv) has every single measurement.\n\n";
    machine.lines().for_each(|line| page += &format!("- {line}\n"));
    page += &format!("- Load while measuring: {}\n", loads(rows));
    page += &format!("- Command: `just peers` ({} rounds)\n", rounds(rows));
    page += &format!("- Versions: {}\n\n", versions(peers));
    page += "Medians, with the lowest and highest round below. ";
    page += "**†** marks a figure that comes with a weaker promise than the column's; the notes below each table say which. ";
    page += "A dash is somebody who cannot take part.\n";
    for ((title, unit, workloads), charts) in TABLES.iter().zip(CHARTS) {
        page += &format!("\n## {title}\n\n{unit}\n");
        charts.iter().for_each(|chart| page += &picture(chart, title));
        page += &table(rows, peers, workloads);
        page += &notes(rows, peers, workloads);
    }
    page
}

fn picture(chart: &str, title: &str) -> String {
    format!(
        "\n<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"{chart}-dark.svg\">\n  \
         <img alt=\"{title}\" src=\"{chart}-light.svg\">\n</picture>\n"
    )
}

fn rounds(rows: &[Row]) -> u32 {
    rows.iter().map(|row| row.round + 1).max().unwrap_or(0)
}

fn loads(rows: &[Row]) -> String {
    let mut loads: Vec<f64> = rows.iter().filter_map(|row| row.load.parse().ok()).collect();
    loads.sort_by(f64::total_cmp);
    match (loads.first(), loads.get(loads.len() / 2), loads.last()) {
        (Some(low), Some(median), Some(high)) => format!("{median} ({low} to {high}), this program included"),
        _ => "unknown".to_owned(),
    }
}

fn versions(peers: &[Peer]) -> String {
    let mut names: Vec<_> = peers.iter().filter_map(|peer| peer.package).collect();
    names.dedup();
    let told: Vec<_> = names.iter().map(|name| format!("{name} {}", machine::version(name))).collect();
    told.join(", ")
}

fn table(rows: &[Row], peers: &[Peer], workloads: &[Workload]) -> String {
    let mut table = String::from("\n| |");
    for workload in workloads {
        table += &format!(" {} |", workload.title());
        if *workload == Workload::Reopen {
            table += " records there |";
        }
    }
    table += "\n|---|";
    let columns = workloads.len() + usize::from(workloads.contains(&Workload::Reopen));
    table += &"---:|".repeat(columns);
    table.push('\n');
    for peer in peers {
        if workloads.iter().all(|workload| summary(rows, *workload, peer.name).is_none())
            && peer.kind != Kind::Peer
        {
            continue;
        }
        let name = match peer.kind {
            Kind::Ours => format!("**{}**", peer.name),
            Kind::Peer => peer.name.to_owned(),
            Kind::Bare => format!("*{}*", peer.name),
        };
        table += &format!("| {name} |");
        for workload in workloads {
            table += &format!(" {} |", cell(rows, peer, *workload));
        }
        table.push('\n');
    }
    table
}

fn cell(rows: &[Row], peer: &Peer, workload: Workload) -> String {
    let reopen = workload == Workload::Reopen;
    let Some(figures) = summary(rows, workload, peer.name) else {
        let nothing = if failure(rows, workload, peer.name).is_some() { "failed" } else { "–" };
        return if reopen { format!("{nothing} | ") } else { nothing.to_owned() };
    };
    let mark = if matches!((peer.part)(workload), Part::Weaker(_)) { " †" } else { "" };
    let Summary { median, low, high, kept } = figures;
    let text = format!("{}{mark}<br><sub>{} – {}</sub>", number(median), number(low), number(high));
    if !reopen {
        return text;
    }
    let kept = if kept == REOPEN_RECORDS { "all".to_owned() } else { number(kept as f64) };
    format!("{text} | {kept}")
}

fn notes(rows: &[Row], peers: &[Peer], workloads: &[Workload]) -> String {
    let mut notes = String::new();
    for peer in peers.iter().filter(|peer| peer.kind != Kind::Bare) {
        let mut told: Vec<String> = Vec::new();
        for workload in workloads {
            let note = match (peer.part)(*workload) {
                Part::Same => failure(rows, *workload, peer.name).map(|problem| format!("failed: {problem}")),
                Part::Weaker(promise) => Some(format!("† {promise}")),
                Part::Not(reason) if peer.kind == Kind::Peer => Some(format!("– {reason}")),
                Part::Not(_) => None,
            };
            told.extend(note.filter(|note| !told.contains(note)));
        }
        if !told.is_empty() {
            notes += &format!("- {}: {}\n", peer.name, told.join("; "));
        }
    }
    if notes.is_empty() { notes } else { format!("\n{notes}") }
}

/// Three digits that count, and thousands apart.
pub fn number(value: f64) -> String {
    let unit = 10_f64.powi((value.abs().max(1e-9).log10().floor() - 2.0) as i32);
    let rounded = (value / unit).round() * unit;
    if rounded < 100.0 {
        let decimals = if rounded < 10.0 { 2 } else { 1 };
        return format!("{rounded:.decimals$}");
    }
    let digits = format!("{rounded:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
