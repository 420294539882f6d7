//! The scripts of a failing store, without equivalent ones.

use super::Fault;

/// Every sequence of faults that an operation can meet. A sequence has one fault for each of the first
/// `length` calls, and one for the rest. Scripts that differ only after the last call of the operation are
/// one course, which runs once.
pub(crate) struct Courses {
    faults: Vec<Fault>,
    rests: Vec<Fault>,
    /// For each call, the index of its fault in `faults`. The last entry is the index in `rests`.
    places: Option<Vec<usize>>,
}

impl Courses {
    pub(crate) fn new(length: usize, faults: &[Fault], rests: &[Fault]) -> Self {
        let places = Some(vec![0; length + 1]);
        Self { faults: faults.to_vec(), rests: rests.to_vec(), places }
    }

    pub(crate) fn script(&self) -> Option<(Vec<Fault>, Fault)> {
        let (rest, script) = self.places.as_ref()?.split_last()?;
        Some((script.iter().map(|place| self.faults[*place]).collect(), self.rests[*rest]))
    }

    /// Advances to the next course. The operation met this many faults of the present one.
    pub(crate) fn met(&mut self, calls: usize) {
        let Some(places) = &mut self.places else { return };
        let last = places.len() - 1;
        for at in (0..calls.min(last + 1)).rev() {
            places[at + 1..].fill(0);
            places[at] += 1;
            if places[at] < if at == last { self.rests.len() } else { self.faults.len() } {
                return;
            }
        }
        self.places = None;
    }
}
