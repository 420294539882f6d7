//! A table for people, printed page by page.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use service_tokens::StoredRecord;

use crate::text::{end, last_used, time, visible};

const HEADS: [&str; 8] =
    ["ID", "Type", "Issued To", "Owner", "Created At", "Expiration", "Last Used", "State"];

/// Longer texts are cut, so that none pushes the other columns off the screen.
const CELL_MAX: usize = 40;

/// Columns are as wide as what they held so far, so that a list of any length needs no more memory
/// than a page. Widths count characters.
#[derive(Debug, Default)]
pub(crate) struct Table {
    widths: [usize; HEADS.len()],
}

impl Table {
    /// Prints a page, and the heads above the first.
    pub(crate) fn page(
        &mut self,
        out: &mut impl Write,
        items: &[StoredRecord],
        now: DateTime<Utc>,
    ) -> io::Result<()> {
        let mut rows = Vec::with_capacity(items.len() + 1);
        if self.widths == [0; HEADS.len()] {
            rows.push(HEADS.map(String::from));
        }
        rows.extend(items.iter().map(|stored| row(stored, now)));
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

fn row(stored: &StoredRecord, now: DateTime<Utc>) -> [String; HEADS.len()] {
    let record = &stored.record;
    [
        record.id().to_string(),
        cell(record.token_type()),
        cell(record.issued_to()),
        cell(record.owner()),
        time(record.created_at()),
        end(record.expires_at()),
        last_used(stored.last_used),
        record.state(now).to_string(),
    ]
}

fn cell(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(CELL_MAX) {
        None => text,
        Some(_) => text.chars().take(CELL_MAX - 1).chain(['…']).collect(),
    }
}
