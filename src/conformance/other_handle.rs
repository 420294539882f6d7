//! Reads through every handle after calls that failed or were dropped, and further writes that all handles
//! must show. The handle that made a call may answer from a transaction that never ends, or from memory.

use std::sync::Arc;

use super::in_time::in_time;
use super::lab::Lab;
use super::probe::{Probe, every_record, same, same_ids, same_record, same_stored, untouched};
use super::samples::{NOW, at, labelled, now, nth};
use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{LastUsed, StoredRecord, TokenStore, Version};
use crate::token::TokenId;

/// The first number of the records of further writes, beyond those of every check.
const FURTHER: u32 = 1_000_000;

/// The other handle on the storage, if the factory offers one.
pub(super) struct OtherHandle {
    second: Option<Box<dyn TokenStore>>,
}

impl OtherHandle {
    pub(super) async fn open(lab: &mut dyn Lab) -> Result<Self, NotKept> {
        match lab.second().await {
            None => Ok(Self { second: None }),
            Some(Ok(second)) => Ok(Self { second: Some(second) }),
            Some(Err(error)) => broken(format!("the second handle could not be opened: {error}")),
        }
    }

    pub(super) fn second(&self) -> Option<Probe<'_>> {
        self.second.as_deref().map(|store| Probe { store })
    }

    /// Checks that the other handle finds the same record. A dropped call may take effect once between
    /// two reads.
    pub(super) async fn agrees(&self, probe: Probe<'_>, id: TokenId, when: &str) -> Verdict {
        let Some(second) = self.second() else { return Ok(()) };
        let mut reads = (probe.find(id).await?, second.find(id).await?);
        for _ in 0..3 {
            if reads.0 == reads.1 {
                return second.agrees(id, &format!("{when}, through another handle")).await;
            }
            reads = (probe.find(id).await?, second.find(id).await?);
        }
        let there = |read: &Option<StoredRecord>| if read.is_some() { "a record" } else { "none" };
        match reads {
            (Some(first), Some(second)) => {
                same_stored(&first, &second, &format!("{when}, another handle found"))
            }
            (first, second) => broken(format!(
                "{when}, the handle of the call found {} and another handle {}",
                there(&first),
                there(&second)
            )),
        }
    }

    /// Checks that both handles show this record, or none.
    async fn shows(
        &self,
        probe: Probe<'_>,
        id: TokenId,
        expected: Option<(&Record, Version)>,
        when: &str,
    ) -> Verdict {
        let another = format!("{when}, through another handle");
        for (probe, when) in [(Some(probe), when), (self.second(), &another)] {
            let Some(probe) = probe else { continue };
            match expected {
                Some((record, version)) => probe.holds(record, version, when).await?,
                None => probe.lacks_single(id, when).await?,
            }
        }
        Ok(())
    }

    /// Checks that the other handle, and the store after it was opened again, show every record as this
    /// one does.
    pub(super) async fn finish(
        self,
        lab: &mut dyn Lab,
        store: Arc<dyn TokenStore>,
        when: &str,
    ) -> Verdict {
        let first = Probe { store: &*store }.scan(&every_record(), now()).await?;
        if let Some(second) = self.second() {
            let seen = second.scan(&every_record(), now()).await?;
            same_rows(&first, &seen, &format!("{when}, through another handle, list"), true)?;
        }
        drop(self);
        drop(store);
        match lab.reopen().await {
            None => return Ok(()),
            Some(Err(error)) => return broken(format!("{when}, the store does not open: {error}")),
            Some(Ok(())) => {}
        }
        let store = lab.store()?;
        let seen = Probe { store: &*store }.scan(&every_record(), now()).await?;
        same_rows(&first, &seen, &format!("{when} and reopening, list"), false)
    }
}

/// Compares two scans. A store may assign new versions when it is opened.
fn same_rows(
    expected: &[StoredRecord],
    seen: &[StoredRecord],
    what: &str,
    with_versions: bool,
) -> Verdict {
    let ids = expected.iter().map(|stored| stored.record.id()).collect();
    same_ids(&ids, seen.iter().map(|stored| stored.record.id()), what)?;
    for (expected, seen) in expected.iter().zip(seen) {
        same_record(&expected.record, &seen.record, &format!("{what} showed a record"))?;
        same(&expected.last_used, &seen.last_used, &format!("{what} showed the last use"))?;
        if with_versions {
            same(&expected.version, &seen.version, &format!("{what} showed"))?;
        }
    }
    Ok(())
}

/// Records that are written after a call failed or was dropped.
pub(super) struct Further {
    n: u32,
    versions: [Version; 3],
}

impl Further {
    /// Inserts the records that will be replaced, removed and touched.
    pub(super) async fn prepare(probe: Probe<'_>, n: u32) -> Result<Self, NotKept> {
        let n = FURTHER + n * 4;
        let mut versions = [Version(0); 3];
        for (n, version) in (n..).zip(&mut versions) {
            *version = probe.insert(&labelled(n, "before a further write")?).await?;
        }
        Ok(Self { n, versions })
    }

    /// Makes a write of each kind, and reads each through every handle. The kind of the first one is
    /// that of the turn, because one kind may repair what the others show.
    pub(super) async fn write(
        self,
        probe: Probe<'_>,
        other: &OtherHandle,
        turn: u32,
        when: &str,
    ) -> Verdict {
        let writes = async {
            for kind in 0..4 {
                self.write_one(probe, other, (turn + kind) % 4, when).await?;
            }
            Ok(())
        };
        in_time(writes, &format!("{when}, further writes")).await?
    }

    async fn write_one(
        &self,
        probe: Probe<'_>,
        other: &OtherHandle,
        kind: u32,
        when: &str,
    ) -> Verdict {
        let [replaced, removed, touched] = self.versions;
        let (n, id) = (self.n + kind, nth(self.n + kind));
        match kind {
            0 => {
                let record = labelled(n, "a further replacement")?;
                let version = probe.replace(&record, replaced).await?;
                let when = format!("{when} and a replacement of another record");
                other.shows(probe, id, Some((&record, version)), &when).await
            }
            1 => {
                probe.remove(id, removed).await?;
                let when = format!("{when} and a removal of another record");
                other.shows(probe, id, None, &when).await
            }
            2 => {
                probe.touch(&[(id, at(NOW + 21))]).await?;
                let when = format!("{when} and a touch of another record");
                let record = labelled(n, "before a further write")?;
                other.shows(probe, id, Some((&record, touched)), &when).await?;
                let used = match untouched(probe.store) {
                    LastUsed::NotTracked => LastUsed::NotTracked,
                    _ => LastUsed::At(at(NOW + 21)),
                };
                let reader = other.second().unwrap_or(probe);
                let stored = reader.stored(id, &when).await?;
                ensure!(
                    stored.last_used == used,
                    "{when}, find through another handle answered with the last use {:?}",
                    stored.last_used
                );
                Ok(())
            }
            _ => {
                let record = labelled(n, "a further insert")?;
                let version = probe.insert(&record).await?;
                let when = format!("{when} and an insert of another record");
                other.shows(probe, id, Some((&record, version)), &when).await
            }
        }
    }
}
