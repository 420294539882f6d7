//! The figures, which are measured values with their targets.

use crate::rounds::Measured;

/// The target of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// The value must be at most this.
    AtMost(f64),
    /// The value must be at least this.
    AtLeast(f64),
    /// The figure has no target, because it explains another one.
    None,
}

/// A measured value with its target.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The name of the figure.
    pub name: String,
    /// The measured value.
    pub measured: f64,
    /// The unit of the value.
    pub unit: &'static str,
    /// The target.
    pub target: Target,
    /// How the value was measured; empty if the name is enough.
    pub note: String,
}

impl Figure {
    /// Creates a figure without a note.
    pub fn new(name: impl Into<String>, measured: f64, unit: &'static str, target: Target) -> Self {
        Self { name: name.into(), measured, unit, target, note: String::new() }
    }

    /// Sets the note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Returns whether the value meets the target, or `None` without a target.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(max) => Some(self.measured <= max),
            Target::AtLeast(min) => Some(self.measured >= min),
            Target::None => None,
        }
    }
}

/// Returns the figures that are ratios of two rows of the verification table.
pub fn of_rows(rows: &[Measured]) -> Vec<Figure> {
    let ns = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.ns);
    let mut figures = Vec::new();
    let mut ratio = |one: &str, other: &str, target| {
        if let (Some(above), Some(below)) = (ns(one), ns(other)) {
            figures.push(Figure::new(format!("{one} / {other}"), above / below, "times", target));
        }
    };
    ratio("floor 1k", "sha256 43", Target::AtMost(1.6));
    ratio("service 1k", "floor 1k", Target::AtMost(1.5));
    ratio("service 1m", "floor 1m", Target::AtMost(1.5));
    // The target is 25 ns on a machine where the floor takes 76 ns.
    ratio("service malformed", "floor 1k", Target::AtMost(25.0 / 76.0));
    ratio("jsonwebtoken hs256", "service 1k", Target::AtLeast(12.0));
    ratio("service file hot 1m", "service 1m", Target::AtMost(1.1));
    ratio("service file cold 1m", "service 1m", Target::AtMost(1.1));
    ratio("service dyn 1k", "service 1k", Target::None);
    figures
}
