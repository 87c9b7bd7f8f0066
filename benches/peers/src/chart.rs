//! The figures as pictures: bars from zero on a linear axis, with their numbers beside them, and the range of the rounds as a line.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::peer::{Kind, Part, Peer};
use crate::report::number;
use crate::results::{Row, Summary, summary};
use crate::workload::Workload;

const WIDTH: u32 = 920;
/// Where bars start, and how long the longest is.
const LEFT: i32 = 250;
const LENGTH: f64 = 500.0;
const ROW: i32 = 26;
const PANEL_HEAD: i32 = 58;
const PANEL_FOOT: i32 = 16;
const TOP: i32 = 66;
const BOTTOM: i32 = 44;
const FONT: &str = "Helvetica, Arial, sans-serif";

struct Theme {
    name: &'static str,
    background: RGBColor,
    text: RGBColor,
    quiet: RGBColor,
    grid: RGBColor,
    ours: RGBColor,
    peer: RGBColor,
    bare: RGBColor,
}

const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        background: RGBColor(255, 255, 255),
        text: RGBColor(31, 35, 40),
        quiet: RGBColor(89, 99, 110),
        grid: RGBColor(225, 228, 232),
        ours: RGBColor(9, 105, 218),
        peer: RGBColor(139, 148, 158),
        bare: RGBColor(196, 160, 72),
    },
    Theme {
        name: "dark",
        background: RGBColor(13, 17, 23),
        text: RGBColor(230, 237, 243),
        quiet: RGBColor(145, 152, 161),
        grid: RGBColor(40, 46, 54),
        ours: RGBColor(68, 147, 248),
        peer: RGBColor(110, 118, 129),
        bare: RGBColor(158, 125, 48),
    },
];

struct Chart {
    file: &'static str,
    title: &'static str,
    subtitle: &'static str,
    unit: &'static str,
    workloads: &'static [Workload],
}

const CHARTS: [Chart; 5] = [
    Chart {
        file: "append",
        title: "Appending one record a call, nothing waits for the disk",
        subtitle: "Records per second, one thread; more is better",
        unit: "/s",
        workloads: &[Workload::Append(100), Workload::Append(1024), Workload::Append(65_536)],
    },
    Chart {
        file: "batch",
        title: "Appending 500 records a call",
        subtitle: "Records of 100 B per second, one thread; more is better",
        unit: "/s",
        workloads: &[Workload::Batch, Workload::BatchSynced],
    },
    Chart {
        file: "synced",
        title: "Appending one record a call, on disk before it returns",
        subtitle: "Records of 1 KiB per second; more is better",
        unit: "/s",
        workloads: &[Workload::Synced(1), Workload::Synced(16)],
    },
    Chart {
        file: "read",
        title: "Reading a million records of 100 B in order",
        subtitle: "Records per second by a fresh process, files in the page cache; more is better",
        unit: "/s",
        workloads: &[Workload::Read],
    },
    Chart {
        file: "reopen",
        title: "Opening what a killed process left: 100,000 records of 1 KiB",
        subtitle: "Milliseconds until the log is open; less is better",
        unit: " ms",
        workloads: &[Workload::Reopen],
    },
];

pub fn draw_all(rows: &[Row], peers: &[Peer], out: &Path) {
    for chart in &CHARTS {
        for theme in &THEMES {
            chart.draw(theme, rows, peers, out);
        }
    }
}

struct Bar<'a> {
    peer: &'a Peer,
    weaker: bool,
    figures: Summary,
}

impl Chart {
    fn draw(&self, theme: &Theme, rows: &[Row], peers: &[Peer], out: &Path) {
        let panels: Vec<_> =
            self.workloads.iter().map(|workload| (*workload, bars(rows, peers, *workload))).collect();
        let panels: Vec<_> = panels.into_iter().filter(|(_, bars)| !bars.is_empty()).collect();
        // A panel alone needs no heading.
        let head = if panels.len() > 1 { PANEL_HEAD } else { PANEL_HEAD - 26 };
        let height = |bars: &Vec<Bar<'_>>| head + ROW * bars.len() as i32 + PANEL_FOOT;
        let total = TOP + panels.iter().map(|(_, bars)| height(bars)).sum::<i32>() + BOTTOM;
        let path = out.join(format!("{}-{}.svg", self.file, theme.name));
        let area = SVGBackend::new(&path, (WIDTH, total as u32)).into_drawing_area();
        area.fill(&theme.background).unwrap();
        text(&area, self.title, (20, 16), 21, theme.text, HPos::Left);
        text(&area, self.subtitle, (20, 44), 14, theme.quiet, HPos::Left);
        let mut top = TOP;
        for (workload, bars) in &panels {
            let heading = if panels.len() > 1 { workload.title() } else { "" };
            text(&area, heading, (20, top + 8), 16, theme.text, HPos::Left);
            panel(&area, theme, bars, self.unit, top + head);
            top += height(bars);
        }
        legend(&area, theme, &panels, total - BOTTOM + 10);
        area.present().unwrap();
    }
}

/// The bare limits first, then whoever has the most, or takes the least time.
fn bars<'a>(rows: &[Row], peers: &'a [Peer], workload: Workload) -> Vec<Bar<'a>> {
    let mut bars: Vec<_> = peers
        .iter()
        .filter_map(|peer| {
            let weaker = matches!((peer.part)(workload), Part::Weaker(_)) && peer.kind != Kind::Bare;
            Some(Bar { peer, weaker, figures: summary(rows, workload, peer.name)? })
        })
        .collect();
    bars.sort_by(|one, other| {
        let order = one.figures.median.total_cmp(&other.figures.median);
        let order = if workload == Workload::Reopen { order } else { order.reverse() };
        (one.peer.kind != Kind::Bare).cmp(&(other.peer.kind != Kind::Bare)).then(order)
    });
    bars
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The bars, the first of them at `first`.
fn panel(area: &Area<'_>, theme: &Theme, bars: &[Bar<'_>], unit: &str, first: i32) {
    let most = bars.iter().map(|bar| bar.figures.high).fold(0.0, f64::max);
    let scale = LENGTH / most;
    let last = first + ROW * bars.len() as i32;
    for step in 0..=4 {
        let value = tick(most) * f64::from(step);
        if value > most {
            break;
        }
        let x = LEFT + (value * scale) as i32;
        area.draw(&PathElement::new(vec![(x, first - 4), (x, last)], theme.grid)).unwrap();
        let label = if step == 0 { "0".to_owned() } else { short(value) + unit };
        text(area, &label, (x, first - 20), 12, theme.quiet, HPos::Center);
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = first + ROW * index as i32;
        draw_bar(area, theme, bar, unit, y, scale);
    }
}

fn draw_bar(area: &Area<'_>, theme: &Theme, bar: &Bar<'_>, unit: &str, y: i32, scale: f64) {
    let colour = match bar.peer.kind {
        Kind::Ours => theme.ours,
        Kind::Peer => theme.peer,
        Kind::Bare => theme.bare,
    };
    let Summary { median, low, high, .. } = bar.figures;
    let end = |value: f64| LEFT + (value * scale).round() as i32;
    let body = [(LEFT, y + 4), (end(median).max(LEFT + 1), y + ROW - 6)];
    if bar.weaker {
        area.draw(&Rectangle::new(body, colour.mix(0.25).filled())).unwrap();
        area.draw(&Rectangle::new(body, colour)).unwrap();
    } else {
        area.draw(&Rectangle::new(body, colour.filled())).unwrap();
    }
    let middle = y + ROW / 2 - 1;
    area.draw(&PathElement::new(vec![(end(low), middle), (end(high), middle)], theme.text)).unwrap();
    for value in [low, high] {
        area.draw(&PathElement::new(vec![(end(value), middle - 3), (end(value), middle + 3)], theme.text))
            .unwrap();
    }
    let ink = if bar.peer.kind == Kind::Ours { theme.ours } else { theme.text };
    let name = format!("{}{}", bar.peer.name, if bar.weaker { " †" } else { "" });
    text(area, &name, (LEFT - 10, y + 5), 14, ink, HPos::Right);
    text(area, &(number(median) + unit), (end(high) + 8, y + 5), 14, ink, HPos::Left);
}

fn legend(area: &Area<'_>, theme: &Theme, panels: &[(Workload, Vec<Bar<'_>>)], y: i32) {
    let weaker = panels.iter().any(|(_, bars)| bars.iter().any(|bar| bar.weaker));
    let mut line = String::from(
        "Bars: median of the rounds; thin lines: lowest to highest. bare: the bytes alone, no log.",
    );
    if weaker {
        line += " † a weaker promise than the others': see peers.md.";
    }
    text(area, &line, (20, y), 12, theme.quiet, HPos::Left);
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), size: i32, colour: RGBColor, to: HPos) {
    let style = (FONT, size).into_font().color(&colour).pos(Pos::new(to, VPos::Top));
    area.draw(&Text::new(words.to_owned(), at, style)).unwrap();
}

/// A round step, so that two to four of them are on the axis.
fn tick(most: f64) -> f64 {
    let power = 10_f64.powf((most / 2.0).log10().floor());
    let fits = [5.0, 2.0, 1.0].into_iter().find(|factor| factor * power * 2.0 <= most);
    fits.unwrap_or(1.0) * power
}

fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", number_of(value / 1e6)),
        1e3.. => format!("{},000", number_of(value / 1e3)),
        _ => number_of(value),
    }
}

fn number_of(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
