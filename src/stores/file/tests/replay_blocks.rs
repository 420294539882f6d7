//! Journals of many blocks, which several threads replay.

use std::collections::BTreeMap;
use std::fs;

use super::model::{Model, Random};
use super::*;
use crate::store::{Filter, ListRequest, States, TokenStore};
use crate::stores::file::OpenError;
use crate::stores::file::format::{Framer, Header};

/// The number of frames. They fill about twenty blocks, so that several threads have work.
const FRAMES: u64 = 20_000;

const OWNERS: [&str; 3] = ["acme", "globex", "initech"];

fn owned(n: u64, owner: &str, label: &str) -> Record {
    let (scopes, nothing) = (ScopeSet::new(["files:read"]).unwrap(), Default::default());
    let new = new_record(n, &scopes, &nothing);
    Record::new(&NewRecord { owner, issued_to: label, ..new }).unwrap()
}

/// The rows after a plain replay of each frame, by the description of the format.
#[derive(Default)]
pub(super) struct Plain(BTreeMap<TokenId, (u64, Record, Option<i64>)>);

impl Plain {
    fn put(&mut self, record: &Record, version: u64, used: Option<i64>) {
        let new = (version, record.clone(), used);
        let row = self.0.entry(record.id()).or_insert(new);
        row.2 = row.2.max(used);
        if row.0 < version {
            (row.0, row.1) = (version, record.clone());
        }
    }

    fn remove(&mut self, id: TokenId, version: u64) {
        if self.0.get(&id).is_some_and(|row| row.0 < version) {
            self.0.remove(&id);
        }
    }

    fn touch(&mut self, id: TokenId, used: i64) {
        if let Some(row) = self.0.get_mut(&id) {
            row.2 = row.2.max(Some(used));
        }
    }

    fn model(&self) -> Model {
        Model(self.0.iter().map(|(id, row)| (*id, (row.1.clone(), row.2))).collect())
    }

    fn ids_of(&self, owner: &str) -> Vec<TokenId> {
        let own = self.0.iter().filter(|(_, row)| row.1.owner() == owner);
        own.map(|(id, _)| *id).collect()
    }
}

/// Returns a journal of random frames, the offset of each frame, and the rows that it contains. Ids return
/// after removals, with other owners and with lower versions, which no store writes.
pub(super) fn journal(place: &Place, seed: u64) -> (Vec<u8>, Vec<usize>, Plain) {
    drop(place.open_quiet());
    let mut bytes = fs::read(place.path()).unwrap();
    let mut framer = Framer::new(Header::read(&bytes).unwrap().seed(), 1);
    let (mut random, mut plain, mut offsets) = (Random(seed), Plain::default(), Vec::new());
    for n in 1..=FRAMES {
        offsets.push(bytes.len());
        let (number, used) = (random.below(FRAMES / 2), random.below(1_000) as i64);
        let version = n + random.below(200);
        match random.below(20) {
            0..=1 => {
                framer.remove(&mut bytes, id(number), version);
                plain.remove(id(number), version);
            }
            2..=3 => {
                framer.touch(&mut bytes, &[(id(number), used), (id(number + 1), used)]);
                plain.touch(id(number), used);
                plain.touch(id(number + 1), used);
            }
            kind => {
                let owner = OWNERS[random.below(3) as usize];
                let record = owned(number, owner, &"l".repeat(1 + used as usize / 3));
                let used = (kind < 8).then_some(used);
                for _ in 0..1 + kind % 2 {
                    framer.put(&mut bytes, id(number), version, used, &record.to_bytes());
                    plain.put(&record, version, used);
                }
                // The second frame of a pair has its own offset.
                if kind % 2 == 1 {
                    let frame = (bytes.len() - offsets[offsets.len() - 1]) / 2;
                    offsets.push(bytes.len() - frame);
                }
            }
        }
    }
    (bytes, offsets, plain)
}

#[test]
fn replay_of_many_blocks_agrees_with_plain_one() {
    for seed in [1, 2, 3] {
        let place = Place::in_memory();
        let (bytes, _, plain) = journal(&place, seed);
        fs::write(place.path(), &bytes).unwrap();
        let store = place.open_quiet();
        assert_eq!(store.open_report().records, plain.0.len());
        assert_eq!(Model::of(&store), plain.model());
        for owner in OWNERS {
            let filter = Filter::new().owner(owner).states(States::ALL);
            let mut request = ListRequest::from(filter).order(crate::store::Order::OldestFirst);
            let mut ids = Vec::new();
            loop {
                let page = block_on(store.list(&request, now())).unwrap();
                ids.extend(page.items.iter().map(|stored| stored.record.id()));
                match page.next {
                    Some(next) => request = request.after(next),
                    None => break,
                }
            }
            assert_eq!(ids, plain.ids_of(owner), "{owner}");
        }
        // A compaction reads the file by itself, so it checks the size of the current frames too.
        block_on(store.compact()).unwrap();
        drop(store);
        assert_eq!(Model::of(&place.open()), plain.model());
    }
}

#[test]
fn first_of_several_damages_is_reported() {
    let place = Place::in_memory();
    let (bytes, offsets, _) = journal(&place, 4);
    let mut random = Random(5);
    for round in 0..40 {
        let mut damaged = bytes.clone();
        // In half of the rounds both are in one block.
        let first = random.below(offsets.len() as u64 - 1);
        let distance = if round % 2 == 0 { 40 } else { offsets.len() as u64 };
        let second = (first + 1 + random.below(distance)).min(offsets.len() as u64 - 1);
        let frames = [first as usize, second as usize];
        for (n, frame) in frames.iter().enumerate() {
            // In the header of the frame, or in its body.
            damaged[offsets[*frame] + [9, 30][(round >> (n + 1)) & 1]] ^= 4;
        }
        fs::write(place.path(), &damaged).unwrap();
        let error = FileStoreOptions::new().read_only(true).open(place.path()).unwrap_err();
        let OpenError::Damaged { offset, .. } = error else { panic!("{error}") };
        assert_eq!(offset, offsets[frames[0]] as u64, "round {round}");
    }
}
