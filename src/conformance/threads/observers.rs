//! Checks on threads of a writer and others that read, touch or listen meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Gate, Shared, Threads, counted};
use crate::conformance::polling::{Boxed, within};
use crate::conformance::probe::{Probe, answered, everything, same, tracked, untouched};
use crate::conformance::races::add_up;
use crate::conformance::samples::{NOW, Sample, at, labelled, now, nth};
use crate::conformance::verdict::{NotKept, Verdict, broken, ensure};
use crate::store::{LastUsed, ListRequest, RecordRef, StoredRecord, TokenStore, Version};

/// The number of writes of a writer.
const WRITES: usize = 150;

/// The maximum number of touches of a thread.
const TOUCHES: usize = 600;

/// The maximum number of reads of a reader, which bounds the check if the writer is slow.
const READS: usize = 2_000;

/// One thread replaces a record, and two touch it.
pub(super) async fn touches_undo_nothing(
    threads: &Threads<'_>,
    store: &Shared,
    probe: Probe<'_>,
) -> Verdict {
    let n = 2_000;
    probe.insert(&labelled(n, "0")?).await?;
    let written = Arc::new(AtomicBool::new(false));
    let mut jobs: Vec<Boxed<'static, Result<i64, NotKept>>> = Vec::new();
    let (writer, done) = (store.clone(), written.clone());
    jobs.push(Box::pin(async move {
        let added = add_up(&*writer, n, WRITES).await;
        done.store(true, Ordering::SeqCst);
        added.map(|()| i64::MIN)
    }));
    for parity in 0..2 {
        let (store, written) = (store.clone(), written.clone());
        jobs.push(Box::pin(async move {
            let (mut latest, mut touches) = (NOW, 0);
            while touches < TOUCHES && !written.load(Ordering::SeqCst) || touches < 20 {
                latest += 2;
                let batch = [(nth(n + 1), now()), (nth(n), at(latest + parity))];
                answered("touch on a thread", store.touch(&batch).await)?;
                touches += 1;
            }
            Ok(latest + parity)
        }));
    }
    let mut latest = i64::MIN;
    for used in threads.run(jobs).await? {
        latest = latest.max(used?);
    }
    let when = "after replacements on one thread and touches on others";
    let stored = probe.stored(nth(n), when).await?;
    let expected = counted(n, WRITES)?;
    ensure!(
        stored.record == expected,
        "{when}, {WRITES} replacements were acknowledged, each counting up by one, and the count is {}",
        stored.record.issued_to()
    );
    probe.agrees(nth(n), when).await?;
    let used = match untouched(probe.store) {
        LastUsed::NotTracked => LastUsed::NotTracked,
        _ => LastUsed::At(at(latest)),
    };
    same(&used, &stored.last_used, &format!("{when}, find answered with the last use"))?;
    probe.remove(nth(n), stored.version).await
}

/// One thread removes a record, and one touches it.
pub(super) async fn touches_revive_nothing(
    threads: &Threads<'_>,
    store: &Shared,
    probe: Probe<'_>,
) -> Verdict {
    let first = 3_000;
    let mut versions = Vec::new();
    for round in 0..WRITES {
        versions.push(probe.insert(&labelled(first + round as u32, "removed")?).await?);
    }
    let gate = Gate::of(2);
    let (remover, meeting) = (store.clone(), gate.clone());
    let (toucher, meets) = (store.clone(), gate);
    let jobs: Vec<Boxed<'static, Verdict>> = vec![
        Box::pin(async move {
            for (round, version) in versions.into_iter().enumerate() {
                meeting.meet(round)?;
                let removed = remover.remove(nth(first + round as u32), version).await;
                answered("a removal during a touch", removed)?;
            }
            Ok(())
        }),
        Box::pin(async move {
            for round in 0..WRITES {
                meets.meet(round)?;
                let touched = toucher.touch(&[(nth(first + round as u32), now())]).await;
                answered("a touch during a removal", touched)?;
            }
            Ok(())
        }),
    ];
    threads.verdicts(jobs).await?;
    for round in 0..WRITES {
        let found = probe.find(nth(first + round as u32)).await?;
        ensure!(found.is_none(), "a touch on another thread restored a removed record");
    }
    let listed = probe.scan(&ListRequest::from(everything()).limit(1_000), now()).await?;
    let revived = listed
        .iter()
        .find(|stored| (0..WRITES).any(|round| stored.record.id() == nth(first + round as u32)));
    ensure!(
        revived.is_none(),
        "after touches and removals on threads, list showed a removed record"
    );
    match tracked(probe) {
        Err(NotKept::Broken(what)) => broken(what),
        _ => Ok(()),
    }
}

/// The count and the version of each read of a record, in order.
type Seen = Vec<(usize, Version)>;

/// One thread counts up in a record, and two read it. No read misses the record, goes back, or has the
/// record of one write with the version of another.
pub(super) async fn reads_are_whole(
    threads: &Threads<'_>,
    store: &Shared,
    probe: Probe<'_>,
) -> Verdict {
    let n = 4_000;
    let owner = "read on threads";
    let record = move |count: usize| {
        Sample { owner: owner.into(), ..Sample::nth(n) }.issued_to(count.to_string()).record()
    };
    let first = probe.insert(&record(0)?).await?;
    let written = Arc::new(AtomicBool::new(false));
    let (writer, done) = (store.clone(), written.clone());
    let mut jobs: Vec<Boxed<'static, Result<Seen, NotKept>>> = vec![Box::pin(async move {
        let mut seen = vec![(0, first)];
        let writes = async {
            for count in 1..=WRITES {
                let (_, version) = seen[count - 1];
                let replaced = writer.replace(&record(count)?, version).await;
                seen.push((count, answered("a replacement during reads", replaced)?));
            }
            Ok(())
        };
        let written: Verdict = writes.await;
        done.store(true, Ordering::SeqCst);
        written.map(|()| seen)
    })];
    for _ in 0..2 {
        let (store, written) = (store.clone(), written.clone());
        jobs.push(Box::pin(async move {
            let mut seen = Vec::new();
            while seen.len() < READS && !written.load(Ordering::SeqCst) {
                seen.extend(read(&*store, n, owner).await?);
            }
            Ok(seen)
        }));
    }
    let mut all = threads.run(jobs).await?.into_iter();
    let writes: HashMap<usize, Version> = match all.next() {
        Some(writes) => writes?.into_iter().collect(),
        None => return broken("the writer gave no answer"),
    };
    for seen in all {
        let seen = seen?;
        for pair in seen.windows(2) {
            ensure!(
                pair[0].0 <= pair[1].0,
                "during replacements on another thread, a read returned count {} after {}",
                pair[1].0,
                pair[0].0
            );
        }
        for (count, version) in seen {
            ensure!(
                writes.get(&count) == Some(&version),
                "during replacements on another thread, a read returned the record of one write with \
                 the version of another"
            );
        }
    }
    Ok(())
}

/// Reads the record in every way.
async fn read(store: &dyn TokenStore, n: u32, owner: &str) -> Result<Seen, NotKept> {
    let lost = "during replacements on another thread,";
    let count = |stored: &StoredRecord| {
        (stored.record.issued_to().parse().unwrap_or(usize::MAX), stored.version)
    };
    let mut seen = Vec::new();
    match answered("find on a thread", store.find(nth(n)).await)? {
        Some(stored) => seen.push(count(&stored)),
        None => return broken(format!("{lost} find missed a record that is only ever replaced")),
    }
    let request = ListRequest::from(everything().owner(owner));
    let mut page = answered("list on a thread", store.list(&request, now()).await)?;
    // A page may be empty and have a next page.
    while let (true, Some(next)) = (page.items.is_empty(), page.next) {
        let request = request.clone().after(next);
        page = answered("list on a thread", store.list(&request, now()).await)?;
    }
    ensure!(
        page.items.len() == 1,
        "{lost} a list showed {} records instead of one that is only ever replaced",
        page.items.len()
    );
    seen.extend(page.items.iter().map(count));
    let mut lent = Some((0, Version(0)));
    let mut called = false;
    store.find_now(nth(n), &mut |found: Option<RecordRef<'_>>| {
        called = true;
        lent = found
            .map(|found| (found.record.issued_to().parse().unwrap_or(usize::MAX), found.version));
    });
    match (called, lent) {
        (true, Some(lent)) => seen.push(lent),
        (true, None) => {
            return broken(format!("{lost} find_now missed a record that is only ever replaced"));
        }
        (false, _) => {}
    }
    Ok(seen)
}

/// The maximum delay of a change.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// One thread counts up in a record, and one listens. When the listener has read all reported changes,
/// it has seen the latest count, because a change is reported only after reads can see it.
pub(super) async fn changes_follow_writes(
    threads: &Threads<'_>,
    store: &Shared,
    probe: Probe<'_>,
) -> Verdict {
    let n = 5_000;
    let Some(mut feed) = answered("opening the change feed", probe.store.changes().await)? else {
        return Ok(());
    };
    let mut version = probe.insert(&counted(n, 0)?).await?;
    let gate = Gate::of(2);
    let (writer, meeting) = (store.clone(), gate.clone());
    let (listener, meets) = (store.clone(), gate);
    let jobs: Vec<Boxed<'static, Verdict>> = vec![
        Box::pin(async move {
            for round in 0..WRITES {
                let record = counted(n, round)?;
                meeting.meet(round)?;
                let what = "a write while a thread listens";
                match round % 3 {
                    0 => version = answered(what, writer.replace(&record, version).await)?,
                    1 => answered(what, writer.remove(record.id(), version).await)?,
                    _ => version = answered(what, writer.insert(&record).await)?,
                }
            }
            Ok(())
        }),
        Box::pin(async move {
            for round in 0..WRITES {
                let expected = (round % 3 != 1).then(|| round.to_string());
                meets.meet(round)?;
                // An insert need not be reported.
                let mut seen = round % 3 == 2;
                while !seen {
                    let Some(change) = within(MAX_DELAY, feed.next()).await else {
                        return broken(
                            "on threads, the change feed reported a write before it could be read, or not \
                             at all",
                        );
                    };
                    answered("the change feed", change)?;
                    let found = answered("find on a thread", listener.find(nth(n)).await)?;
                    seen = found.map(|stored| stored.record.issued_to().to_owned()) == expected;
                }
            }
            Ok(())
        }),
    ];
    threads.verdicts(jobs).await
}
