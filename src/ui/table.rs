//! In: a header and rows of cells. Out: columns padded as docker prints them.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use unicode_width::UnicodeWidthStr;

/// Blanks between two columns.
const GAP: usize = 3;

/// Columns under a header. A row shorter than the header ends in empty cells.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header; none for a table without one.
    pub fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|cell| (*cell).to_owned()).collect()],
        }
    }

    /// Adds a row. Line breaks in cells become blanks: one row is one line.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|cell| cell.replace(['\n', '\t'], " "))
                .collect(),
        );
    }

    /// The whole table, each line ended by a line feed.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.width())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < columns {
                    line.extend(std::iter::repeat_n(
                        ' ',
                        widths[column].saturating_sub(cell.width()) + GAP,
                    ));
                }
            }
            text.push_str(line.trim_end_matches(if row.len() < columns { ' ' } else { '\0' }));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_display_width() {
        let mut table = Table::new(&["NAME", "STATUS"]);
        table.row(vec!["a".into(), "Up".into()]);
        table.row(vec!["größe-漢".into(), "Up\n2".into()]);
        assert_eq!(
            table.render(),
            "NAME       STATUS\na          Up\ngröße-漢   Up 2\n"
        );
    }
}
