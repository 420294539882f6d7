//! The scripts of a store that fails, without those that come to the same.

use super::Fault;

/// Every course that an act can take: what each of its first `length` calls meets, and all those after.
/// Scripts that differ only behind an act's last call are one course, which is run once.
pub(crate) struct Courses {
    faults: Vec<Fault>,
    rests: Vec<Fault>,
    /// For each call the place of its fault in `faults`; in the end that of the rest in `rests`.
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

    /// On to the next, since the act has met the first so many faults of this one.
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
