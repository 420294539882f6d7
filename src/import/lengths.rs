//! Sets of lengths.

use super::MAX_IMPORTED_LEN;

/// A set of lengths of at most [`MAX_IMPORTED_LEN`], sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    sorted: Vec<usize>,
    /// Whether a length was longer.
    too_long: bool,
}

impl Lengths {
    pub(super) fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut set = Self::default();
        for length in lengths {
            if length > MAX_IMPORTED_LEN {
                // The caller may have passed an endless range.
                set.too_long = true;
                break;
            }
            if let Err(at) = set.sorted.binary_search(&length) {
                set.sorted.insert(at, length);
            }
        }
        set
    }

    pub(super) fn are_too_long(&self) -> bool {
        self.too_long
    }

    pub(super) fn contains(&self, length: usize) -> bool {
        self.sorted.binary_search(&length).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.sorted.iter().copied()
    }

    pub(super) fn min(&self) -> Option<usize> {
        self.sorted.first().copied()
    }

    pub(super) fn max(&self) -> Option<usize> {
        self.sorted.last().copied()
    }
}
