//! The calls of the store with flaws about many rows.

use super::*;

impl TableStore {
    pub(super) async fn rows_found(&self, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        let mut results = Vec::new();
        for id in ids {
            results.push(self.find(*id).await);
        }
        let is_damaged = |found: &Answer<_>| matches!(found, Err(StoreError::Corrupt { .. }));
        let damaged = results.iter().any(is_damaged);
        for result in &mut results {
            let missing = match (self.flaw, &*result) {
                (RefusedRowIsMissing, Err(StoreError::Unavailable { .. })) => true,
                (DamagedRowIsMissing, found) => is_damaged(found),
                _ => false,
            };
            if missing {
                *result = Ok(None);
            } else if damaged && self.is(DamageFailsTheOtherRows) {
                *result = Err(StoreError::corrupt("a row is damaged"));
            }
        }
        results
    }

    pub(super) async fn rows_replaced(&self, writes: &[(Record, Version)]) -> Vec<Answer<Version>> {
        let mut results = Vec::new();
        for (record, expected) in writes {
            let indexed = self.table.get(record.id()).map(|row| row.indexed);
            let result = self.replace(record, *expected).await;
            if let (RowsAreIndexedOnce, Ok(_), Some(indexed)) = (self.flaw, &result, indexed)
                && let Some(row) = self.table.rows().get_mut(&record.id())
            {
                row.indexed = indexed;
            }
            if self.is(RowsLoseConnections) && matches!(result, Err(StoreError::Conflict)) {
                let _ = self.lose_connection();
            }
            results.push(result.map_err(|error| match (self.flaw, error) {
                (LostRowIsUnavailable, StoreError::Indeterminate { .. }) => {
                    StoreError::unavailable("connection reset")
                }
                (LostRowIsAConflict, StoreError::Indeterminate { .. }) => StoreError::Conflict,
                (RefusedRowIsIndeterminate, StoreError::Unavailable { .. }) => {
                    StoreError::indeterminate("connection refused")
                }
                (_, error) => error,
            }));
        }
        results
    }
}
