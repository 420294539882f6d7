//! Figures beside the rows: what was asked, what was measured, whether it is met.

use crate::rounds::Measured;

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// Nothing: it explains another.
    Nothing,
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// What was measured.
    pub measured: f64,
    /// In what.
    pub unit: &'static str,
    /// What it should be.
    pub asked: Asked,
    /// How it came about, where that has to be said.
    pub note: String,
}

impl Figure {
    /// A figure without a note.
    pub fn new(name: impl Into<String>, measured: f64, unit: &'static str, asked: Asked) -> Self {
        Self { name: name.into(), measured, unit, asked, note: String::new() }
    }

    /// Says how it came about.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether it is as asked; `None` where nothing is.
    pub fn met(&self) -> Option<bool> {
        match self.asked {
            Asked::AtMost(most) => Some(self.measured <= most),
            Asked::AtLeast(least) => Some(self.measured >= least),
            Asked::Nothing => None,
        }
    }
}

/// The figures that are ratios of rows of the verification table.
pub fn of_rows(rows: &[Measured]) -> Vec<Figure> {
    let ns = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.ns);
    let mut figures = Vec::new();
    let mut ratio = |one: &str, other: &str, asked| {
        if let (Some(above), Some(below)) = (ns(one), ns(other)) {
            figures.push(Figure::new(format!("{one} / {other}"), above / below, "times", asked));
        }
    };
    ratio("floor 1k", "sha256 43", Asked::AtMost(1.6));
    ratio("service 1k", "floor 1k", Asked::AtMost(1.5));
    ratio("service 1m", "floor 1m", Asked::AtMost(1.5));
    // 25 ns where the floor takes 76.
    ratio("service malformed", "floor 1k", Asked::AtMost(25.0 / 76.0));
    ratio("jsonwebtoken hs256", "service 1k", Asked::AtLeast(12.0));
    ratio("service file hot 1m", "service 1m", Asked::AtMost(1.1));
    ratio("service file cold 1m", "service 1m", Asked::AtMost(1.1));
    ratio("service dyn 1k", "service 1k", Asked::Nothing);
    figures
}
