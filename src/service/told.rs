//! The events of acts that were done.

use super::act::{Issued, Revoked};
use super::request::{IssueRequest, RevokeRequest, RotateRequest};
use crate::event::Event;
use crate::token::TokenId;

impl IssueRequest {
    pub(super) fn issued(&self, issued: &Issued, on_behalf_of: Option<TokenId>) -> Event {
        Event::Issued {
            id: issued.record.id(),
            owner: issued.record.owner().to_owned(),
            token_type: self.token_type.clone(),
            issued_to: self.issued_to.clone(),
            by: self.issued_by.clone(),
            on_behalf_of,
        }
    }
}

impl RotateRequest {
    pub(super) fn rotated(&self, rotated: &Issued, on_behalf_of: Option<TokenId>) -> Event {
        let record = &rotated.record;
        let overlap = record.overlap(record.secret_created_at());
        Event::Rotated {
            id: record.id(),
            owner: record.owner().to_owned(),
            by: self.by.clone(),
            older_ends_at: overlap.map(|overlap| overlap.ends_at),
            older_ends_on_first_use: overlap.is_some_and(|overlap| overlap.ends_on_first_use),
            on_behalf_of,
        }
    }
}

impl RevokeRequest {
    pub(super) fn revoked(&self, revoked: &Revoked, on_behalf_of: Option<TokenId>) -> Event {
        let (id, owner) = (revoked.record.id(), revoked.record.owner().to_owned());
        if revoked.already_revoked {
            return Event::AlreadyRevoked { id, owner, on_behalf_of };
        }
        let (by, reason) = (self.by.clone(), self.reason.clone());
        Event::Revoked { id, owner, by, reason, on_behalf_of }
    }
}
