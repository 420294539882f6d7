//! Values under small numbers, which are used again.

pub(super) struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Adds a value and returns its number.
    pub(super) fn insert(&mut self, value: T) -> usize {
        match self.free.pop() {
            Some(number) => {
                if let Some(slot) = self.values.get_mut(number) {
                    *slot = Some(value);
                }
                number
            }
            None => {
                self.values.push(Some(value));
                self.values.len() - 1
            }
        }
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.values.get_mut(number)?.as_mut()
    }

    /// Removes a value. Its number may be used again.
    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        let value = self.values.get_mut(number)?.take()?;
        self.free.push(number);
        Some(value)
    }
}
