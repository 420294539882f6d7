//! The table of `list`, which is written page by page.

use std::io::{self, Write};

use service_tokens::{StoredRecord, TokenService};

use crate::output::{expiry, last_used, state, time, visible};

const HEADS: [&str; 8] =
    ["ID", "Type", "Issued To", "Owner", "Created At", "Expiration", "Last Used", "State"];

/// The maximum width of a cell in characters. Longer texts are cut, so that the other columns stay on
/// the screen.
const MAX_CELL_LEN: usize = 40;

/// The width of each column in characters. It is the widest cell so far, so a list of any length needs
/// only the memory for one page.
#[derive(Debug, Default)]
pub(crate) struct Table {
    widths: [usize; HEADS.len()],
}

impl Table {
    /// Writes a page. The first page begins with the column heads.
    pub(crate) fn write_page<S>(
        &mut self,
        out: &mut impl Write,
        items: &[StoredRecord],
        service: &TokenService<S>,
    ) -> io::Result<()> {
        let mut rows = Vec::with_capacity(items.len() + 1);
        if self.widths == [0; HEADS.len()] {
            rows.push(HEADS.map(String::from));
        }
        rows.extend(items.iter().map(|stored| row(stored, service)));
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells = row.iter().zip(self.widths);
            let line: String = cells.map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row<S>(stored: &StoredRecord, service: &TokenService<S>) -> [String; HEADS.len()] {
    let record = &stored.record;
    [
        record.id().to_string(),
        cell(record.token_type()),
        cell(record.issued_to()),
        cell(record.owner()),
        time(record.created_at()),
        expiry(record.expires_at()),
        last_used(stored.last_used),
        state(service, record),
    ]
}

fn cell(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(MAX_CELL_LEN) {
        None => text,
        Some(_) => text.chars().take(MAX_CELL_LEN - 1).chain(['…']).collect(),
    }
}
