//! JSON objects of records.

use serde_json::{Value, json};
use service_tokens::record::Suspension;
use service_tokens::store::LastUsed;
use service_tokens::{StoredRecord, TokenService};

use crate::output::{exact_time as time, unusable_reason};

/// Returns the JSON object of a token in a list, on one line.
pub(crate) fn summary<S>(stored: &StoredRecord, service: &TokenService<S>) -> String {
    let mut object = Object::default();
    object.summary(stored, service);
    object.finish()
}

/// Returns the JSON object with all stored fields of a token.
pub(crate) fn details<S>(stored: &StoredRecord, service: &TokenService<S>) -> String {
    let record = &stored.record;
    let mut object = Object::default();
    object.summary(stored, service);
    object.optional("secret_created_by", record.secret_created_by());
    let on_behalf_of = record.secret_created_on_behalf_of();
    object.optional("secret_created_on_behalf_of", on_behalf_of.map(|id| id.to_string()));
    object.field("end_set_at", time(record.end_set_at()));
    if let Some(overlap) = record.overlap(service.now()) {
        object.field("older_secret_created_at", time(overlap.older_created_at));
        object.field("older_secret_ends_at", time(overlap.ends_at));
        object.field("older_secret_ends_on_first_use", overlap.ends_on_first_use);
    }
    object.optional("issued_by", record.issued_by());
    if !record.issuers().is_empty() {
        object
            .field("issuers", record.issuers().iter().map(ToString::to_string).collect::<Value>());
    }
    if let Some(revocation) = record.revocation() {
        object.field("revoked_at", time(revocation.at));
        object.optional("revoked_by", revocation.by.as_deref());
        object.optional("reason", revocation.reason.as_deref());
    }
    if record.is_newer() {
        object.field("newer_format", true);
    }
    object.finish()
}

fn suspension(suspension: &Suspension) -> Value {
    json!({
        "since": time(suspension.since),
        "until": suspension.until.map(time),
        "by": suspension.by,
        "reason": suspension.reason,
    })
}

/// An object whose fields stay in the order in which they are added.
#[derive(Default)]
struct Object(String);

impl Object {
    fn summary<S>(&mut self, stored: &StoredRecord, service: &TokenService<S>) {
        let record = &stored.record;
        self.field("id", record.id().to_string());
        self.field("type", record.token_type());
        self.field("issued_to", record.issued_to());
        self.field("owner", record.owner());
        self.field("scopes", record.scopes().iter().collect::<Value>());
        self.field("created_at", time(record.created_at()));
        self.optional("not_before", record.not_before().map(time));
        self.optional("expires_at", record.expires_at().map(time));
        if let LastUsed::At(used) = stored.last_used {
            self.field("last_used_at", time(used));
        }
        self.field("secret_created_at", time(record.secret_created_at()));
        self.field("state", record.state(service.now()).to_string());
        self.field("usable", service.refusal_of(record).is_none());
        self.optional("unusable_reason", unusable_reason(service, record));
        if !record.suspensions().is_empty() {
            let suspensions = record.suspensions().iter().map(suspension).collect::<Value>();
            self.field("suspensions", suspensions);
        }
        self.field("imported", record.is_imported());
        self.field("imported_secret", record.has_imported_secret(service.now()));
        self.field(
            "networks",
            record.networks().map(|network| network.to_string()).collect::<Value>(),
        );
        self.field("metadata", record.metadata().collect::<Value>());
    }

    fn field(&mut self, name: &str, value: impl Into<Value>) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        self.0.push(before);
        self.0.push_str(&format!("{}:{}", Value::from(name), value.into()));
    }

    fn optional(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// Closes the object and escapes invisible characters. JSON does not require these escapes, but a
    /// terminal that shows the object does.
    fn finish(self) -> String {
        escape_invisible(&(self.0 + "}"))
    }
}

/// Escapes the invisible characters in a JSON text.
pub(crate) fn escape_invisible(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1 {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}
