//! Checks of queries with all conditions at once, in both orders and over several pages.

use std::collections::BTreeSet;

use super::filters::{given_filters, selects};
use super::lists::ORDERS;
use super::probe::{Probe, everything, untouched};
use super::samples::{DAY, NOW, Sample, at, id, now, nth, revoked};
use super::verdict::{NotKept, Verdict, ensure};
use crate::record::Record;
use crate::store::{Filter, ListRequest, Order, States};
use crate::token::TokenId;

/// The maximum number of issuers in a record.
const MAX_ISSUERS: u32 = 16;

/// The numbers of the records, some of which have ended.
const NUMBERS: std::ops::Range<u32> = 20_000..20_006;

const OWNER: &str = "all conditions";

/// Creates a record that all conditions of the check select.
fn record(n: u32) -> Result<Record, NotKept> {
    let sample = Sample {
        owner: OWNER.into(),
        issued_by: Some("ops@acme".into()),
        issuers: vec![nth(n + 1_000), nth(19_000)],
        ..Sample::nth(n)
    };
    let record = sample.record()?;
    Ok(if n.is_multiple_of(2) { revoked(&record, Some("ops"), None) } else { record })
}

/// Sets one condition of a filter.
type Condition = fn(Filter) -> Filter;

/// The conditions in addition to the owner and the states.
const CONDITIONS: [Condition; 7] = [
    |filter| filter.token_type("connector"),
    |filter| filter.issued_to("nightly backup"),
    |filter| filter.issued_to_contains("backup"),
    |filter| filter.issuer(nth(19_000)),
    |filter| filter.issued_by("ops@acme"),
    |filter| filter.expires_before(at(NOW + 1_000 * DAY)),
    |filter| filter.created_before(at(NOW + 1_000 * DAY)),
];

/// Lists by all conditions, and by all but one. A store may prepare a statement for each set of conditions, order
/// and cursor, and must not mix them up.
pub(super) async fn conditions_hold_together(probe: Probe<'_>) -> Verdict {
    let records = NUMBERS.map(record).collect::<Result<Vec<_>, _>>()?;
    probe.insert_all(&records).await?;
    for without in (0..=CONDITIONS.len()).rev() {
        for states in [States::ALL, States::LIVE, States::ENDED] {
            let start = everything().owner(OWNER).states(states);
            let conditions = CONDITIONS.iter().enumerate().filter(|(n, _)| *n != without);
            let filter = conditions.fold(start, |filter, (_, set)| set(filter));
            for (order, limit) in [(0, 50), (1, 50), (0, 2), (1, 2)] {
                lists_in_order(probe, &records, &filter, ORDERS[order], limit).await?;
            }
        }
    }
    Ok(())
}

async fn lists_in_order(
    probe: Probe<'_>,
    records: &[Record],
    filter: &Filter,
    order: Order,
    limit: usize,
) -> Verdict {
    let last_used = untouched(probe.store);
    let selected = records.iter().filter(|record| filter.matches(record, last_used, now()));
    let mut expected: Vec<TokenId> = selected.map(Record::id).collect();
    if order == Order::NewestFirst {
        expected.reverse();
    }
    let request = ListRequest::from(filter.clone()).order(order).limit(limit);
    let listed = probe.scan(&request, now()).await?;
    let listed: Vec<TokenId> = listed.iter().map(|stored| stored.record.id()).collect();
    ensure!(
        listed == expected,
        "a list by many conditions ({}) in the order {order:?}, {limit} to a page, has {listed:?} instead of \
         {expected:?}",
        given_filters(filter)
    );
    Ok(())
}

/// Lists by texts and issuers that pseudo-random halves of the records have, so that each part of a divided
/// storage has long runs of records that do not match.
pub(super) async fn scattered_records_are_found(probe: Probe<'_>) -> Verdict {
    const RECORDS: u32 = 96;
    const KEYS: u32 = 12;
    let mut random = 0x5eed_u64;
    // The ids are scattered too, because a storage can be divided by them.
    let mut ids = BTreeSet::new();
    while ids.len() < RECORDS as usize {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ids.insert(id(u128::from(random) << 64 | u128::from(random.rotate_left(32))));
    }
    let mut records = Vec::new();
    for id in ids {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Three bits in four are zero, so that about a quarter of the records has each key.
        let bits = (random >> 20) & (random >> 40);
        let keys: Vec<u32> = (0..KEYS).filter(|key| bits >> key & 1 == 1).collect();
        let label: String = keys.iter().map(|key| format!("k{key:02} ")).collect();
        let sample = Sample {
            owner: OWNER.into(),
            issuers: keys.iter().map(|key| nth(23_000 + key)).collect(),
            ..Sample::of(id)
        };
        records.push(sample.issued_to(format!("{label}.")).record()?);
    }
    probe.insert_all(&records).await?;
    for key in 0..KEYS {
        let by_text = everything().owner(OWNER).issued_to_contains(format!("k{key:02}"));
        let by_issuer = everything().owner(OWNER).issuer(nth(23_000 + key));
        for filter in [by_text, by_issuer] {
            for (order, limit) in [(0, 3), (1, 3), (0, 1), (1, 8)] {
                lists_in_order(probe, &records, &filter, ORDERS[order], limit).await?;
            }
        }
    }
    Ok(())
}

/// Checks that a list finds a record by each of its issuers.
pub(super) async fn every_issuer_is_found(probe: Probe<'_>) -> Verdict {
    let issuers: Vec<TokenId> = (0..MAX_ISSUERS).map(|n| nth(24_000 + n)).collect();
    let sample = Sample { issuers: issuers.clone(), owner: OWNER.into(), ..Sample::nth(21_100) };
    let records = [(sample.record()?, untouched(probe.store))];
    probe.insert(&records[0].0).await?;
    for (n, issuer) in issuers.into_iter().enumerate() {
        let what = format!("a list by issuer number {} of {MAX_ISSUERS}", n + 1);
        selects(probe, &records, &everything().issuer(issuer), now(), &what).await?;
    }
    Ok(())
}
