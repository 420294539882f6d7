//! A store over one table of PostgreSQL and the application's own pool.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use service_tokens::chrono::{DateTime, Utc};
use service_tokens::random::OsRandom;
use service_tokens::record::RECORD_FORMAT;
use service_tokens::store::{ChangeStream, Gathering, LastUsed, Order, StoreError, Version};
use service_tokens::{
    ListRequest, Page, Record, StoredRecord, TokenId, TokenStore, async_trait, uuid,
};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};
use uuid::Uuid;

use super::feed::Feed;

/// The statements of step 1. They can run again.
pub const SCHEMA: &str = include_str!("schema.sql");

/// The columns that `find`, `find_many` and `list` read.
const SELECT: &str = "select id, version, record, last_used from service_token";

// The next three statements lock their rows in the order of the ids, so that two of them never wait for each
// other. They count the locked rows and do not join them, because PostgreSQL has no statistics about `unnest`:
// it would join by a nested loop, which compares a million pairs for 1,000 rows.

/// The statement of `touch`.
pub const TOUCH: &str = "with locked as (select id from service_token where id = any($1) order by id for update) \
    update service_token as t set last_used = greatest(t.last_used, used.used) \
    from (select id, max(used) as used from unnest($1::uuid[], $2::bigint[]) as given (id, used) group by id) as used \
    where (select count(*) from locked) > 0 and t.id = used.id";

/// The statement of `replace_many`.
pub const REPLACE_MANY: &str = "with locked as (select id from service_token where id = any($1) order by id for update) \
    update service_token as t set version = given.version, record = given.record, format = given.format \
    from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::smallint[], $6::bytea[], $7::bigint[]) \
    as given (id, expected, version, record, format, owner, created_at) \
    where (select count(*) from locked) > 0 \
    and t.id = given.id and t.version = given.expected and t.owner = given.owner \
    and t.created_at = given.created_at and t.format <= $8 returning t.id";

/// The statement of `remove_many`.
pub const REMOVE_MANY: &str = "with locked as (select id from service_token where id = any($1) order by id for update) \
    delete from service_token as t using unnest($1::uuid[], $2::bigint[]) as given (id, expected) \
    where (select count(*) from locked) > 0 \
    and t.id = given.id and t.version = given.expected returning t.id";

/// Tokens in a table of PostgreSQL.
pub struct PostgresStore {
    pool: Pool,
    /// The time that one statement may take.
    timeout: Duration,
    /// The server for a connection of the change feed, which a pool cannot lend for hours.
    feed: Option<Box<Config>>,
}

/// Whether a statement writes. That decides the error after a lost answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl PostgresStore {
    /// Creates a store over the application's pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool, timeout: Duration::from_secs(5), feed: None }
    }

    /// Lets nodes follow the changes of each other over a connection of its own.
    pub fn with_feed(mut self, config: Config) -> Self {
        self.feed = Some(Box::new(config));
        self
    }

    /// Creates the table.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let connection = self.connection().await?;
        connection.batch_execute(SCHEMA).await.map_err(|error| failed(Access::Write, &error))
    }

    /// Takes a connection from the pool. If this fails, no statement was sent.
    async fn connection(&self) -> Result<Object, StoreError> {
        let connection = tokio::time::timeout(self.timeout, self.pool.get()).await;
        connection.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }

    async fn query(
        &self,
        access: Access,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection().await?;
        let answer = tokio::time::timeout(self.timeout, async {
            // Preparing a statement does not write.
            let statement = connection
                .prepare_cached(sql)
                .await
                .map_err(|error| failed(Access::Read, &error))?;
            connection.query(&statement, params).await.map_err(|error| failed(access, &error))
        });
        match answer.await {
            Ok(rows) => rows,
            Err(elapsed) => {
                // The statement may still run, so the connection is closed and does not return to the pool.
                drop(Object::take(connection));
                Err(lost(access, elapsed.to_string()))
            }
        }
    }

    /// Reads the rows of many ids in one statement.
    async fn many<T: Send>(
        &self,
        sql: &str,
        ids: &[TokenId],
        read: impl Fn(&Row) -> Result<T, StoreError> + Send,
    ) -> Vec<Result<Option<T>, StoreError>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.to_uuid()).collect();
        let found = async {
            let rows = self.query(Access::Read, sql, &[&ids]).await?;
            rows.iter().map(|row| Ok((row_id(row)?, read(row)))).collect()
        };
        let mut found: HashMap<Uuid, Result<T, StoreError>> = match found.await {
            Ok(found) => found,
            Err(error) => return repeat(&error, ids.len()),
        };
        ids.iter().map(|id| found.remove(id).transpose()).collect()
    }

    /// Returns the error for a replacement that changed no row. The answer only selects the error.
    async fn not_replaced(&self, id: TokenId) -> StoreError {
        match self.find(id).await {
            Ok(Some(current)) if current.record.is_newer() => StoreError::NewerFormat,
            Err(corrupt @ StoreError::Corrupt { .. }) => corrupt,
            _ => StoreError::Conflict,
        }
    }
}

#[async_trait]
impl TokenStore for PostgresStore {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let version = next_version()?;
        let sql = "insert into service_token (id, version, record, format, owner, created_at) \
                   values ($1, $2, $3, $4, $5, $6)";
        let columns = Columns::of(record);
        self.query(
            Access::Write,
            sql,
            &[
                &columns.id,
                &column(version),
                &columns.record,
                &columns.format,
                &columns.owner,
                &columns.created_at,
            ],
        )
        .await?;
        Ok(version)
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let sql = format!("{SELECT} where id = $1");
        let rows = self.query(Access::Read, &sql, &[&id.to_uuid()]).await?;
        rows.first().map(stored).transpose()
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let version = next_version()?;
        let sql = "update service_token set version = $3, record = $4, format = $5 \
                   where id = $1 and version = $2 \
                   and owner = $6 and created_at = $7 and format <= $8 returning id";
        let columns = Columns::of(record);
        let rows = self
            .query(
                Access::Write,
                sql,
                &[
                    &columns.id,
                    &column(expected),
                    &column(version),
                    &columns.record,
                    &columns.format,
                    &columns.owner,
                    &columns.created_at,
                    &i16::from(RECORD_FORMAT),
                ],
            )
            .await?;
        if rows.is_empty() { Err(self.not_replaced(record.id()).await) } else { Ok(version) }
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let sql = "delete from service_token where id = $1 and version = $2 returning id";
        let params: [&(dyn ToSql + Sync); 2] = [&id.to_uuid(), &column(expected)];
        let rows = self.query(Access::Write, sql, &params).await?;
        if rows.is_empty() { Err(StoreError::Conflict) } else { Ok(()) }
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        let owner = request.filter.owner.as_deref().map(str::as_bytes);
        let after = request.after.map(TokenId::to_uuid);
        let limit = i64::try_from(request.limit).map_err(StoreError::unavailable)?;
        let (past, direction) = match request.order {
            Order::OldestFirst => (">", "asc"),
            Order::NewestFirst => ("<", "desc"),
        };
        // Each condition is in the text only if it is needed, because a plan for `$1 is null or owner = $1`
        // scans the table. The text consists of constants, and each text of a stranger is a parameter.
        let (mut sql, mut params) = (format!("{SELECT} where true"), Vec::new());
        let mut condition = |text: &str, param| {
            params.push(param);
            let _ = write!(sql, " {text} ${}", params.len());
        };
        if let Some(owner) = &owner {
            condition("and owner =", owner as &(dyn ToSql + Sync));
        }
        if let Some(after) = &after {
            condition(&format!("and id {past}"), after);
        }
        condition(&format!("order by id {direction} limit"), &limit);
        let rows = self.query(Access::Read, &sql, &params).await?;
        // The next page starts after the last row that was read, even if this page does not have it.
        let last = rows.last().filter(|_| rows.len() == request.limit);
        let next = last.map(|row| row.try_get("id").map(TokenId::from_uuid)).transpose();
        let next = next.map_err(StoreError::corrupt)?;
        let mut items = Vec::new();
        for row in &rows {
            let stored = stored(row)?;
            if request.filter.matches(&stored.record, stored.last_used, now) {
                items.push(stored);
            }
        }
        Ok(Page::new(items, next))
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = uses.iter().map(|(id, _)| id.to_uuid()).collect();
        let used: Vec<i64> = uses.iter().map(|(_, used)| used.timestamp_micros()).collect();
        self.query(Access::Write, TOUCH, &[&ids, &used]).await.map(drop)
    }

    fn gathering(&self) -> Option<Gathering> {
        Some(Gathering::new(256, 2))
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        self.many(&format!("{SELECT} where id = any($1)"), ids, stored).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        let sql = "select id, version from service_token where id = any($1)";
        self.many(sql, ids, |row| Ok(Version(row_number(row, "version")? as u64))).await
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        let replaced = async {
            let new: Vec<i64> = writes
                .iter()
                .map(|_| Ok(column(next_version()?)))
                .collect::<Result<_, StoreError>>()?;
            let columns: Vec<Columns<'_>> =
                writes.iter().map(|(record, _)| Columns::of(record)).collect();
            let params: [&(dyn ToSql + Sync); 8] = [
                &columns.iter().map(|row| row.id).collect::<Vec<_>>(),
                &writes.iter().map(|(_, expected)| column(*expected)).collect::<Vec<_>>(),
                &new,
                &columns.iter().map(|row| &row.record[..]).collect::<Vec<_>>(),
                &columns.iter().map(|row| row.format).collect::<Vec<_>>(),
                &columns.iter().map(|row| row.owner).collect::<Vec<_>>(),
                &columns.iter().map(|row| row.created_at).collect::<Vec<_>>(),
                &i16::from(RECORD_FORMAT),
            ];
            let rows = self.query(Access::Write, REPLACE_MANY, &params).await?;
            Ok((new, ids_of(&rows)?))
        };
        let (new, replaced) = match replaced.await {
            Ok(replaced) => replaced,
            Err(error) => return repeat(&error, writes.len()),
        };
        let mut results = Vec::with_capacity(writes.len());
        for ((record, _), version) in writes.iter().zip(new) {
            results.push(match replaced.contains(&record.id().to_uuid()) {
                true => Ok(Version(version as u64)),
                false => Err(self.not_replaced(record.id()).await),
            });
        }
        results
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        let ids: Vec<Uuid> = removals.iter().map(|(id, _)| id.to_uuid()).collect();
        let expected: Vec<i64> = removals.iter().map(|(_, expected)| column(*expected)).collect();
        let rows = self.query(Access::Write, REMOVE_MANY, &[&ids, &expected]).await;
        let removed = match rows.and_then(|rows| ids_of(&rows)) {
            Ok(removed) => removed,
            Err(error) => return repeat(&error, removals.len()),
        };
        let result = |id| if removed.contains(id) { Ok(()) } else { Err(StoreError::Conflict) };
        ids.iter().map(result).collect()
    }

    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        let Some(config) = &self.feed else { return Ok(None) };
        // Channels belong to the database, and several schemas may have such a table. So the name of the
        // channel has the table's oid.
        let sql = "select 'service_token_' || 'service_token'::regclass::oid as channel";
        let rows = self.query(Access::Read, sql, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unavailable("the table has no oid"))?;
        let channel: &str = row.try_get("channel").map_err(StoreError::corrupt)?;
        let opened = tokio::time::timeout(self.timeout, Feed::open(config, channel)).await;
        Ok(Some(Box::new(opened.map_err(StoreError::unavailable)??)))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.pool.close();
        Ok(())
    }
}

/// The columns that a write sets.
struct Columns<'r> {
    id: Uuid,
    record: Vec<u8>,
    format: i16,
    owner: &'r [u8],
    created_at: i64,
}

impl<'r> Columns<'r> {
    fn of(record: &'r Record) -> Self {
        Self {
            id: record.id().to_uuid(),
            record: record.to_bytes(),
            format: i16::from(record.format()),
            owner: record.owner().as_bytes(),
            created_at: record.created_at().timestamp_micros(),
        }
    }
}

/// Draws a version. It has 63 bits, so it fits a `bigint`.
fn next_version() -> Result<Version, StoreError> {
    Version::random(&OsRandom).map_err(StoreError::unavailable)
}

/// Returns the version as a column. A version of another store, above 2^63, becomes a number that no row has.
fn column(version: Version) -> i64 {
    i64::try_from(version.0).unwrap_or(-1)
}

/// Returns the record of a row. A damaged row is an error, because a skipped row would hide a token.
fn stored(row: &Row) -> Result<StoredRecord, StoreError> {
    let record = Record::from_bytes(row.try_get("record").map_err(StoreError::corrupt)?)?;
    if record.id().to_uuid() != row_id(row)? {
        return Err(StoreError::corrupt("the row contains the record of another id"));
    }
    let used: Option<i64> = row.try_get("last_used").map_err(StoreError::corrupt)?;
    let used = used.and_then(DateTime::from_timestamp_micros);
    let version = Version(row_number(row, "version")? as u64);
    Ok(StoredRecord::new(record, version, used.map_or(LastUsed::Never, LastUsed::At)))
}

fn row_id(row: &Row) -> Result<Uuid, StoreError> {
    row.try_get("id").map_err(StoreError::corrupt)
}

fn row_number(row: &Row, column: &str) -> Result<i64, StoreError> {
    row.try_get(column).map_err(StoreError::corrupt)
}

fn ids_of(rows: &[Row]) -> Result<HashSet<Uuid>, StoreError> {
    rows.iter().map(row_id).collect()
}

/// Returns the error of a whole call once for each row.
fn repeat<T>(error: &StoreError, rows: usize) -> Vec<Result<T, StoreError>> {
    (0..rows).map(|_| Err(error.duplicate())).collect()
}

/// Returns the error for a statement whose answer was lost. The driver does not say whether a statement was
/// sent before the connection broke, so a write may have happened.
fn lost(access: Access, cause: String) -> StoreError {
    match access {
        Access::Read => StoreError::unavailable(cause),
        Access::Write => StoreError::indeterminate(cause),
    }
}

/// Returns the error for a failed statement. Its text has no detail, because the server's detail can quote
/// the row, and with it the digests of the secrets.
fn failed(access: Access, error: &tokio_postgres::Error) -> StoreError {
    let Some(error) = error.as_db_error() else { return lost(access, error.to_string()) };
    let (code, cause) =
        (error.code(), format!("SQLSTATE {}: {}", error.code().code(), error.message()));
    let unknown = [
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    match access {
        Access::Write if *code == SqlState::UNIQUE_VIOLATION => StoreError::Exists,
        Access::Write if *code == SqlState::DISK_FULL => StoreError::full(cause),
        Access::Write if *code == SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::ReadOnly,
        Access::Write if unknown.contains(code) => StoreError::indeterminate(cause),
        // The server rolled back, or did not begin.
        _ => StoreError::unavailable(cause),
    }
}
