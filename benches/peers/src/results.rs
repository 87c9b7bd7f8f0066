//! The figures of a run: kept as they were measured, told as medians.

use std::fmt;
use std::path::Path;

use crate::child::Figures;
use crate::workload::Workload;

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Measured(Figures),
    Failed(String),
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub workload: Workload,
    pub peer: String,
    pub round: u32,
    /// The machine's load after it, over a minute.
    pub load: String,
    pub outcome: Outcome,
}

/// A median with the lowest and highest of its rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// The fewest records that were there after a kill.
    pub kept: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(figures) => {
                let rate = figures.records as f64 * 1e9 / figures.nanos as f64;
                write!(
                    formatter,
                    "{} records in {} ms, {rate:.0}/s",
                    figures.records,
                    figures.nanos / 1_000_000
                )
            }
            Self::Failed(problem) => write!(formatter, "failed: {problem}"),
        }
    }
}

const HEADING: &str = "workload,peer,round,load,records,nanoseconds,kept,failed";

pub fn save(rows: &[Row], path: &Path) {
    let mut text = format!("{HEADING}\n");
    for Row { workload, peer, round, load, outcome } in rows {
        let peer = peer.replace(',', ";");
        let figures = match outcome {
            Outcome::Measured(Figures { records, nanos, kept }) => format!("{records},{nanos},{kept},"),
            Outcome::Failed(problem) => format!(",,,{problem}"),
        };
        text += &format!("{},{peer},{round},{load},{figures}\n", workload.id());
    }
    std::fs::write(path, text).unwrap();
}

pub fn load(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| row(line).unwrap_or_else(|| panic!("not a line of ours: {line}")))
        .collect()
}

fn row(line: &str) -> Option<Row> {
    let mut fields = line.split(',');
    let mut next = || fields.next();
    let workload = Workload::of_id(next()?)?;
    let (peer, round, load) = (next()?.replace(';', ","), next()?.parse().ok()?, next()?.to_owned());
    let (records, nanos, kept, problem) = (next()?, next()?, next()?, next()?);
    let outcome = if problem.is_empty() {
        let figures =
            Figures { records: records.parse().ok()?, nanos: nanos.parse().ok()?, kept: kept.parse().ok()? };
        Outcome::Measured(figures)
    } else {
        Outcome::Failed(problem.to_owned())
    };
    Some(Row { workload, peer, round, load, outcome })
}

/// Records per second; milliseconds for [`Workload::Reopen`]. `None` if nothing was measured.
pub fn summary(rows: &[Row], workload: Workload, peer: &str) -> Option<Summary> {
    let measured = rows.iter().filter(|row| row.workload == workload && row.peer == peer);
    let figures: Vec<Figures> = measured
        .filter_map(|row| match row.outcome {
            Outcome::Measured(figures) => Some(figures),
            Outcome::Failed(_) => None,
        })
        .collect();
    let mut values: Vec<f64> = figures
        .iter()
        .map(|figures| match workload {
            Workload::Reopen => figures.nanos as f64 / 1e6,
            _ => figures.records as f64 * 1e9 / figures.nanos as f64,
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => return None,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    };
    let kept = figures.iter().map(|figures| figures.kept).min()?;
    Some(Summary { median, low: values[0], high: values[values.len() - 1], kept })
}

/// Why there is no figure, if a measurement failed.
pub fn failure<'a>(rows: &'a [Row], workload: Workload, peer: &str) -> Option<&'a str> {
    rows.iter().filter(|row| row.workload == workload && row.peer == peer).find_map(|row| {
        match &row.outcome {
            Outcome::Failed(problem) => Some(problem.as_str()),
            Outcome::Measured(_) => None,
        }
    })
}
