//! Distributions as a chart.

use std::path::Path;

use plotters::prelude::*;

use crate::distribution::Distribution;

/// Writes an SVG: across, the share of calls, each step ten times rarer; up, how long they took at the most.
pub(crate) fn draw(path: &Path, title: &str, rows: &[Distribution]) {
    let rarest = rows.iter().map(|row| row.len() as f64).fold(10.0, f64::max).log10();
    let longest = rows.iter().map(|row| micros(row, 1.0)).fold(1.0, f64::max);
    let area = SVGBackend::new(path, (900, 520)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..rarest, (0.01..longest * 2.0).log_scale())
        .unwrap();
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("percentile")
        .y_desc("microseconds")
        .x_label_formatter(&|nines| percentile(*nines))
        .draw()
        .unwrap();
    for (index, row) in rows.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let points = (0..=200).map(|step| {
            let nines = f64::from(step) / 200.0 * rarest;
            (nines, micros(row, 1.0 - 10_f64.powf(-nines)))
        });
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .unwrap()
            .label(row.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()
        .unwrap();
    area.present().unwrap();
}

fn micros(row: &Distribution, quantile: f64) -> f64 {
    row.at(quantile).as_secs_f64() * 1e6
}

/// 1 is the 90th, 2 the 99th and so on.
fn percentile(nines: f64) -> String {
    let share = 100.0 * (1.0 - 10_f64.powf(-nines));
    // As many digits as tell it from 100.
    let digits = (0..8_u8).find(|digits| nines <= 2.0 + f64::from(*digits)).unwrap_or(8);
    format!("{share:.0$}", usize::from(digits))
}
