//! A token that is issued and revoked in the same transaction as a row of the application.
//!
//! ```text
//! cargo run --example own_transaction
//! ```
//!
//! The database of this program is in memory. It has a table of customers and a table of tokens behind one lock,
//! and a transaction changes both or neither. `insert_in` and `replace_in` are the two functions that the
//! package of a store offers for your transactions.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{LastUsed, Order, StoreError, Version};
use service_tokens::{
    IssueRequest, Issued, ListRequest, ManageError, Page, Record, Requirement, RevokeRequest,
    StoredRecord, TokenId, TokenService, TokenStore, TokenType,
};

#[derive(Clone, Default)]
pub(crate) struct Tables {
    /// The customers by name, each with the id of its token.
    customers: BTreeMap<String, TokenId>,
    tokens: BTreeMap<TokenId, (Record, Version)>,
    latest_version: u64,
}

#[derive(Default)]
pub(crate) struct Database(Mutex<Tables>);

/// A transaction. Without a [`commit`](Self::commit) it changes nothing.
struct Transaction<'d> {
    committed: MutexGuard<'d, Tables>,
    tables: Tables,
}

impl Database {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Transaction<'_> {
        let committed = self.lock();
        let tables = committed.clone();
        Transaction { committed, tables }
    }
}

impl Transaction<'_> {
    fn commit(mut self) {
        *self.committed = self.tables;
    }
}

impl Tables {
    fn next_version(&mut self) -> Version {
        self.latest_version += 1;
        Version(self.latest_version)
    }
}

/// Inserts a record, and returns whether it did. An existing record stays, as with `on conflict do nothing`.
fn insert_in(transaction: &mut Transaction<'_>, record: &Record) -> bool {
    let tables = &mut transaction.tables;
    let version = tables.next_version();
    if tables.tokens.contains_key(&record.id()) {
        return false;
    }
    tables.tokens.insert(record.id(), (record.clone(), version));
    true
}

/// Replaces a record if its version is `expected`, and returns the new version.
fn replace_in(
    transaction: &mut Transaction<'_>,
    record: &Record,
    expected: Version,
) -> Result<Version, StoreError> {
    let tables = &mut transaction.tables;
    let next = tables.next_version();
    match tables.tokens.get_mut(&record.id()) {
        Some((present, version)) if *version == expected => {
            StoreError::check_replacement(present, record)?;
            (*present, *version) = (record.clone(), next);
            Ok(next)
        }
        _ => Err(StoreError::Conflict),
    }
}

/// Creates a customer and its token, or neither.
async fn sign_up(
    service: &TokenService<Arc<Database>>,
    database: &Database,
    name: &str,
) -> Result<Issued, Box<dyn Error>> {
    // This does not write.
    let request = IssueRequest::new("connector", "first token").issued_by("sign-up");
    let mut draft = service.owner(name).prepare_issue(request).await?;
    {
        let mut transaction = database.begin();
        if transaction.tables.customers.contains_key(name) {
            // Returning drops the transaction, which rolls it back, and then the draft.
            return Err("the name is taken".into());
        }
        transaction.tables.customers.insert(name.to_owned(), draft.record().id());
        if !insert_in(&mut transaction, draft.record()) {
            return Err("a token with this id exists".into());
        }
        transaction.commit();
    }
    // The token appears only now, when it is certain that its record is stored.
    Ok(draft.confirm().await?)
}

/// Deletes a customer and revokes its token, or neither.
async fn close_account(
    service: &TokenService<Arc<Database>>,
    database: &Database,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let id = *database.lock().customers.get(name).ok_or("there is no such customer")?;
    let request = RevokeRequest::new().by("sign-up").reason("account closed");
    let mut draft = service.owner(name).prepare_revoke(id, request).await?;
    {
        let mut transaction = database.begin();
        transaction.tables.customers.remove(name);
        // This is a conflict if the token was rotated or amended since. A caller then prepares again.
        replace_in(&mut transaction, draft.record(), draft.expected())?;
        transaction.commit();
    }
    draft.confirm().await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Arc::new(Database::default());
    let service = TokenService::builder(database.clone(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .build()?;

    println!("A commit stores the customer and the token:\n");
    let issued = sign_up(&service, &database, "globex").await?;
    let token = issued.token.expose_secret();
    let verified = service.verify(token, &Requirement::any_token()).await?;
    println!("   {} has the token {}", verified.owner(), verified.id());

    println!("\nA rollback stores neither:\n");
    if let Err(error) = sign_up(&service, &database, "globex").await {
        println!("   {error}");
    }
    println!("   tokens in the database: {}", database.lock().tokens.len());

    println!("\nA draft that was rolled back cannot be confirmed:\n");
    let request = IssueRequest::new("connector", "second token");
    let mut draft = service.owner("globex").prepare_issue(request).await?;
    let mut transaction = database.begin();
    insert_in(&mut transaction, draft.record());
    drop(transaction);
    match draft.confirm().await {
        Err(error @ ManageError::NotStored { .. }) => println!("   {error}"),
        other => return Err(format!("the draft was confirmed: {other:?}").into()),
    }

    println!("\nA commit deletes the customer and revokes the token:\n");
    close_account(&service, &database, "globex").await?;
    println!("   customers in the database: {}", database.lock().customers.len());
    match service.verify(token, &Requirement::any_token()).await {
        Err(refused) => println!("   {refused}"),
        Ok(_) => return Err("a revoked token was accepted".into()),
    }
    Ok(())
}

#[async_trait]
impl TokenStore for Database {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let mut transaction = self.begin();
        if !insert_in(&mut transaction, record) {
            return Err(StoreError::Exists);
        }
        let version = Version(transaction.tables.latest_version);
        transaction.commit();
        Ok(version)
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let found = self.lock().tokens.get(&id).cloned();
        Ok(found.map(|(record, version)| StoredRecord::new(record, version, LastUsed::NotTracked)))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let mut transaction = self.begin();
        let version = replace_in(&mut transaction, record, expected)?;
        transaction.commit();
        Ok(version)
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let mut tables = self.lock();
        match tables.tokens.get(&id) {
            Some((_, version)) if *version == expected => {
                tables.tokens.remove(&id);
                Ok(())
            }
            _ => Err(StoreError::Conflict),
        }
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        if request.filter.unused_since.is_some() {
            return Err(StoreError::last_use_not_tracked());
        }
        let mut items: Vec<StoredRecord> = Vec::new();
        for (record, version) in self.lock().tokens.values() {
            let matches = request.filter.matches(record, LastUsed::NotTracked, now);
            if matches && request.is_past_cursor(record.id()) {
                items.push(StoredRecord::new(record.clone(), *version, LastUsed::NotTracked));
            }
        }
        if request.order == Order::NewestFirst {
            items.reverse();
        }
        let is_full = items.len() > request.limit;
        items.truncate(request.limit);
        let next = items.last().filter(|_| is_full).map(|last| last.record.id());
        Ok(Page::new(items, next))
    }
}
