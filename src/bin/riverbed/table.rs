//! Tables.

use comfy_table::{CellAlignment, ContentArrangement, Table as Comfy, presets};

use crate::error::CliError;
use crate::output::Output;

/// A table without lines: a heading, then rows. Columns whose heading begins with `>` are aligned to the right.
pub(crate) struct Table {
    inner: Comfy,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut inner = Comfy::new();
        inner.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        inner.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
        for (column, heading) in inner.column_iter_mut().zip(headings) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { inner }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.inner.add_row(cells.into_iter());
    }

    /// All lines, each as wide as the others.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.inner.lines().collect()
    }

    pub(crate) fn write(&self, out: &mut Output) -> Result<(), CliError> {
        for (index, line) in self.lines().iter().enumerate() {
            let line = line.trim_end();
            if index == 0 { out.heading(line) } else { out.line(line) }?;
        }
        Ok(())
    }
}
