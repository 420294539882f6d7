//! Writes JSON files for programs.

use std::path::Path;

use serde::Serialize;

use crate::figure::Figure;
use crate::rounds::Measured;
use crate::table::target;

#[derive(Serialize)]
struct FigureOut {
    name: String,
    asked: String,
    measured: f64,
    unit: &'static str,
    met: Option<bool>,
    note: String,
}

/// Writes the rows of the table.
pub fn write_rows(path: &Path, rows: &[Measured]) {
    write(path, rows);
}

/// Writes the figures.
pub fn write_figures(path: &Path, figures: &[Figure]) {
    let out = |figure: &Figure| FigureOut {
        name: figure.name.clone(),
        asked: target(figure),
        measured: figure.measured,
        unit: figure.unit,
        met: figure.met(),
        note: figure.note.clone(),
    };
    write(path, &figures.iter().map(out).collect::<Vec<_>>());
}

fn write<T: Serialize>(path: &Path, items: &[T]) {
    let mut text = serde_json::to_string_pretty(items).expect("plain data");
    text.push('\n');
    std::fs::write(path, text).expect("a file that can be written");
}
