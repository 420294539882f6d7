//! A table that is filled before it is shared.
//!
//! Design. Several threads decode records, and one at a time inserts what they have decoded. The ids of the
//! rows that are the first with their ids are collected with their owners ([`Inserted`]). So the index is
//! built from lists that fit the caches, and the rows, which are spread over the memory, are not read again.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::RwLock;
use std::thread::{Builder, scope};

use hashbrown::{DefaultHashBuilder, HashMap};
use papaya::{HashMapRef, LocalGuard};

use super::{Index, Row, Rows, Table};
use crate::token::TokenId;

/// A table without an index.
pub(crate) struct Loader(Rows);

/// A loader while rows are read and inserted. It holds the guard of the map, which takes two atomic
/// exchanges to enter and to leave.
pub(crate) struct Loading<'l>(HashMapRef<'l, TokenId, Row, DefaultHashBuilder, LocalGuard<'l>>);

/// The owners of the records that one thread has decoded, with numbers.
#[derive(Default)]
pub(crate) struct Owners(HashMap<Box<str>, usize>);

/// The number of an owner, in one [`Owners`] or in all of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnerNumber(usize);

impl Owners {
    pub(crate) fn number_of(&mut self, owner: &str) -> OwnerNumber {
        if let Some(&number) = self.0.get(owner) {
            return OwnerNumber(number);
        }
        let number = self.0.len();
        self.0.insert(owner.into(), number);
        OwnerNumber(number)
    }
}

/// The ids that were inserted, with the numbers of their owners. One list uses less memory than a list for
/// each owner, and all of it is returned to the system.
#[derive(Default)]
pub(crate) struct Inserted(Vec<(TokenId, OwnerNumber)>);

impl Inserted {
    /// Adds the id of a row that was the first with this id.
    pub(crate) fn add(&mut self, id: TokenId, owner: OwnerNumber) {
        self.0.push((id, owner));
    }

    fn sort(&mut self) {
        self.0.sort_unstable_by_key(|(id, _)| *id);
    }
}

impl Loader {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self(Rows::with_capacity_and_hasher(rows, DefaultHashBuilder::default()))
    }

    pub(crate) fn pin(&self) -> Loading<'_> {
        Loading(self.0.pin())
    }

    /// Builds the index. `owners` has the numbers of the owners for each list. `changed` has every id that was
    /// removed or has moved to another owner at any time. Of these, only the rows count.
    pub(crate) fn into_table(
        self,
        inserted: Vec<Inserted>,
        owners: &[Owners],
        changed: Vec<TokenId>,
    ) -> Table {
        let index = index(&self.pin(), inserted, owners, changed);
        Table { rows: self.0, index: RwLock::new(index) }
    }
}

fn index(
    rows: &Loading<'_>,
    mut lists: Vec<Inserted>,
    owners: &[Owners],
    mut changed: Vec<TokenId>,
) -> Index {
    let mut names = Names::default();
    for (list, owners) in lists.iter_mut().zip(owners) {
        let numbers = names.numbers_of(owners);
        list.0.iter_mut().for_each(|(_, owner)| owner.0 = numbers[owner.0]);
    }
    if !changed.is_empty() {
        changed.sort_unstable();
        changed.dedup();
        for list in &mut lists {
            list.0.retain(|(id, _)| changed.binary_search(id).is_err());
        }
        let row = |id| Some((id, rows.get(id)?.record.owner()));
        let current = changed.into_iter().filter_map(row);
        let current = current.map(|(id, owner)| (id, OwnerNumber(names.number_of(owner))));
        lists.push(Inserted(current.collect()));
    }
    // If a thread cannot be started, this one does its work.
    let all_started = scope(|scope| {
        let (own, others) = lists.split_first_mut()?;
        let start = |list| Builder::new().spawn_scoped(scope, || Inserted::sort(list)).is_ok();
        let all_started = others.iter_mut().map(start).fold(true, |all, started| all & started);
        own.sort();
        Some(all_started)
    });
    if all_started == Some(false) {
        lists.iter_mut().for_each(Inserted::sort);
    }
    let Grouped { all, by_owner, ends } = Grouped::new(&lists, names.in_order.len());
    drop(lists);
    scope(|scope| {
        let sets = || sets(&by_owner, &ends, &names.in_order);
        let thread = Builder::new().spawn_scoped(scope, sets);
        // Passed by value, because the set is then built in the memory of the list.
        let all = all.into_iter().collect();
        let by_owner = thread.ok().and_then(|thread| thread.join().ok());
        Index { all, by_owner: by_owner.unwrap_or_else(sets) }
    })
}

/// The owners of all lists, with common numbers.
#[derive(Default)]
struct Names<'n> {
    numbers: HashMap<&'n str, usize>,
    in_order: Vec<&'n str>,
}

impl<'n> Names<'n> {
    fn number_of(&mut self, name: &'n str) -> usize {
        *self.numbers.entry(name).or_insert_with(|| {
            self.in_order.push(name);
            self.in_order.len() - 1
        })
    }

    /// Returns the common number for each number of these owners.
    fn numbers_of(&mut self, owners: &'n Owners) -> Vec<usize> {
        let mut numbers = vec![0; owners.0.len()];
        for (name, &number) in &owners.0 {
            numbers[number] = self.number_of(name);
        }
        numbers
    }
}

/// All ids in order, in total and in one group for each owner.
struct Grouped {
    all: Vec<TokenId>,
    by_owner: Vec<TokenId>,
    /// The ends of the groups in `by_owner`, by the numbers of the owners.
    ends: Vec<usize>,
}

impl Grouped {
    /// Merges sorted lists.
    fn new(lists: &[Inserted], owners: usize) -> Self {
        let mut rests: Vec<&[(TokenId, OwnerNumber)]> = lists.iter().map(|list| &*list.0).collect();
        let len = rests.iter().map(|rest| rest.len()).sum();
        let mut ends = vec![0; owners];
        rests.iter().copied().flatten().for_each(|&(_, owner)| ends[owner.0] += 1);
        let mut end = 0;
        for count in &mut ends {
            // The start of the owner's group, which the next loop moves to its end.
            end += std::mem::replace(count, end);
        }
        let mut all = Vec::with_capacity(len);
        let mut by_owner = vec![TokenId::from_bytes([0; 16]); len];
        let head = |rest: &[(TokenId, OwnerNumber)]| rest.first().map(|&(id, _)| id);
        while let Some(rest) =
            rests.iter_mut().filter(|rest| !rest.is_empty()).min_by_key(|rest| head(rest))
            && let Some((&(id, owner), after)) = rest.split_first()
        {
            *rest = after;
            all.push(id);
            by_owner[ends[owner.0]] = id;
            ends[owner.0] += 1;
        }
        Self { all, by_owner, ends }
    }
}

/// Builds the set of each owner from its group.
fn sets(
    by_owner: &[TokenId],
    ends: &[usize],
    names: &[&str],
) -> BTreeMap<Box<str>, BTreeSet<TokenId>> {
    let mut start = 0;
    let groups = names.iter().zip(ends).map(|(&name, &end)| {
        let group = &by_owner[start..end];
        start = end;
        (Box::from(name), group.iter().copied().collect::<BTreeSet<_>>())
    });
    // An owner without a group has only records that were removed or replaced.
    groups.filter(|(_, group)| !group.is_empty()).collect()
}

impl Loading<'_> {
    pub(crate) fn get(&self, id: TokenId) -> Option<&Row> {
        self.0.get(&id)
    }

    /// Loads the place of each id into the processor's cache. These reads do not depend on each other, so the
    /// processor waits for several of them at once. Each insertion is a barrier and would wait alone.
    pub(crate) fn prefetch(&self, ids: impl Iterator<Item = TokenId>) {
        ids.for_each(|id| {
            black_box(self.0.contains_key(&id));
        });
    }

    /// Inserts a row unless its id has one. In that case the row is returned.
    pub(crate) fn put_new(&self, row: Row) -> Option<Row> {
        self.0.try_insert(row.record.id(), row).err().map(|occupied| occupied.not_inserted)
    }

    pub(crate) fn put(&self, row: Row) {
        self.0.insert(row.record.id(), row);
    }

    pub(crate) fn delete(&self, id: TokenId) {
        self.0.remove(&id);
    }
}
