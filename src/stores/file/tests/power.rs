//! The power fails at each call: only synced contents are certain.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::double::{Behaviour, Call, Double};
use super::model::{Model, Steps, perform};
use super::*;
use crate::store::TokenStore;

/// A file on a disk: its durable bytes, and the pending writes, which a power failure may lose.
#[derive(Clone, Default)]
struct Platter {
    durable: Vec<u8>,
    pending: Vec<Call>,
}

impl Platter {
    fn apply(bytes: &mut Vec<u8>, call: &Call, written: usize) {
        match call {
            Call::Write(_, offset, new) => {
                let (start, new) = (*offset as usize, &new[..written.min(new.len())]);
                if !new.is_empty() {
                    bytes.resize(bytes.len().max(start + new.len()), 0);
                    bytes[start..start + new.len()].copy_from_slice(new);
                }
            }
            Call::SetLen(_, length) => bytes.resize(*length as usize, 0),
            _ => unreachable!("no other call changes a file"),
        }
    }

    /// Returns the possible contents after a power failure: no pending write, all of them, or a
    /// torn last write, with or without the new length of the file.
    fn outcomes(&self) -> Vec<Vec<u8>> {
        let mut outcomes = vec![self.durable.clone()];
        let mut bytes = self.durable.clone();
        for call in &self.pending {
            if let Call::Write(_, _, new) = call {
                for written in [1, 19, 20, 21, new.len() / 2, new.len().saturating_sub(1)] {
                    let mut torn = bytes.clone();
                    Self::apply(&mut torn, call, written);
                    outcomes.push(torn.clone());
                    torn.resize(bytes.len() + new.len(), 0);
                    outcomes.push(torn);
                }
            }
            Self::apply(&mut bytes, call, usize::MAX);
            outcomes.push(bytes.clone());
        }
        outcomes
    }

    fn sync(&mut self) {
        for call in std::mem::take(&mut self.pending) {
            Self::apply(&mut self.durable, &call, usize::MAX);
        }
    }
}

/// The files of a directory. A rename is pending until the directory is synced.
#[derive(Clone)]
struct Volume {
    files: Vec<Platter>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
}

impl Volume {
    fn apply(&mut self, call: &Call) {
        match call {
            Call::Write(path, ..) | Call::SetLen(path, ..) => {
                let file = self.names[path];
                self.files[file].pending.push(call.clone());
            }
            Call::Sync(path) => {
                let file = self.names[path];
                self.files[file].sync();
            }
            Call::Create(path) => {
                self.files.push(Platter::default());
                self.names.insert(path.clone(), self.files.len() - 1);
            }
            Call::Rename(from, to) => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
            }
            Call::SyncDirectory => self.durable_names = self.names.clone(),
            Call::Remove(path) => drop(self.names.remove(path)),
            // Belongs to no content.
            Call::Give(_) => {}
        }
    }
}

/// Gives each file its name at the time of the call. The double uses the path under which a file
/// was created or opened, so a compacted file has its first name there.
fn renamed(log: Vec<Call>) -> Vec<Call> {
    let mut now: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    log.into_iter()
        .map(|call| {
            let name = |path: PathBuf, now: &BTreeMap<PathBuf, PathBuf>| {
                now.get(&path).cloned().unwrap_or(path)
            };
            match call {
                Call::Write(path, at, bytes) => Call::Write(name(path, &now), at, bytes),
                Call::Sync(path) => Call::Sync(name(path, &now)),
                Call::SetLen(path, length) => Call::SetLen(name(path, &now), length),
                Call::Create(path) => {
                    now.remove(&path);
                    Call::Create(path)
                }
                Call::Rename(from, to) => {
                    now.insert(from.clone(), to.clone());
                    Call::Rename(from, to)
                }
                other => other,
            }
        })
        .collect()
}

#[test]
fn acknowledged_writes_survive_power_failures() {
    let place = Place::in_memory();
    drop(place.open());
    let path = place.open().path().to_owned();
    let first = fs::read(&path).unwrap();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    let mut steps = Steps::new(22, 1, true);
    let mut states = vec![(0, Model::default())];
    for _ in 0..60 {
        let (_, model) = states.last().unwrap();
        let step = steps.next(model);
        block_on(perform(&store, &step)).unwrap();
        let model = model.with(&step);
        states.push((double.calls(), model));
    }
    drop(store);
    let log = renamed(double.log());
    assert_eq!(log.len(), double.calls(), "every call was obeyed");
    assert!(log.iter().filter(|call| matches!(call, Call::Rename(..))).count() > 1);
    let names = BTreeMap::from([(path.clone(), 0)]);
    let mut volume = Volume {
        files: vec![Platter { durable: first, pending: Vec::new() }],
        durable_names: names.clone(),
        names,
    };
    let mut acknowledged = 0;
    let crashed = Place::in_memory();
    for (number, call) in log.iter().enumerate() {
        while states.get(acknowledged + 1).is_some_and(|(calls, _)| *calls <= number) {
            acknowledged += 1;
        }
        volume.apply(call);
        // The directory has its state of the last sync, or its present state.
        for names in [&volume.durable_names, &volume.names] {
            for bytes in volume.files[names[&path]].outcomes() {
                fs::write(crashed.path(), bytes).unwrap();
                let options = FileStoreOptions::new().read_only(true);
                let found = Model::of(&options.open(crashed.path()).unwrap());
                let may_be = &states[acknowledged..(acknowledged + 2).min(states.len())];
                assert!(may_be.iter().any(|(_, model)| *model == found), "call {number}");
            }
        }
    }
}

/// The process is killed at a call, another one opens the file and writes, and then the power
/// fails. The acknowledged writes of the second process survive with either state of the directory.
#[test]
fn writes_after_kill_survive_power_failures() {
    let place = Place::in_memory();
    drop(place.open());
    let path = place.open().path().to_owned();
    let first = fs::read(&path).unwrap();
    let double = Double::new(|_, _| Behaviour::Obey);
    let open = |double: &Double| {
        let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
        options.open(&path).unwrap()
    };
    let store = open(&double);
    for n in 1..4 {
        block_on(store.insert(&record(n))).unwrap();
        block_on(store.compact()).unwrap();
    }
    drop(store);
    let names = BTreeMap::from([(path.clone(), 0)]);
    let files = vec![Platter { durable: first, pending: Vec::new() }];
    let mut volume = Volume { files, durable_names: names.clone(), names };
    let mut apart = 0;
    for call in &renamed(double.log()) {
        volume.apply(call);
        apart += usize::from(volume.durable_names.get(&path) != volume.names.get(&path));
        // The next process reads the writes of the killed one, durable or not.
        let mut after = volume.clone();
        fs::write(&path, after.files[after.names[&path]].outcomes().pop().unwrap()).unwrap();
        let again = Double::new(|_, _| Behaviour::Obey);
        let store = open(&again);
        block_on(store.insert(&record(100))).unwrap();
        let expected = Model::of(&store);
        drop(store);
        renamed(again.log()).iter().for_each(|call| after.apply(call));
        for names in [&after.durable_names, &after.names] {
            for bytes in after.files[names[&path]].outcomes() {
                fs::write(&path, bytes).unwrap();
                let options = FileStoreOptions::new().read_only(true);
                assert_eq!(Model::of(&options.open(&path).unwrap()), expected, "{call:?}");
            }
        }
    }
    assert!(apart > 2, "{apart}");
}
