//! The promises of the single calls that hold for each row of a call about many, and the report of the call
//! that breaks one of them.

use std::sync::Arc;

use async_trait::async_trait;

use super::calls::{AMONG_OTHERS, Calls, First, ManyCalls, Style};
use super::decoys::Notes;
use crate::conformance::lab::{Lab, Place};
use crate::conformance::promise::Promise;
use crate::conformance::verdict::{NotKept, Verdict, broken};
use crate::store::{BoxError, TokenStore};
use crate::token::TokenId;

/// Races of single calls with calls about many rows.
const MIXED: Style = Style { mixed: true, ..AMONG_OTHERS };

/// A row without others, because a store may make a call for each row, and only one of them is lost or
/// refused.
const ALONE: Style = Style { decoys: false, ..AMONG_OTHERS };

const FIND_FIRST: Style = Style { first: First::Find, ..AMONG_OTHERS };

const VERSIONS_FIRST: Style = Style { first: First::Versions, ..AMONG_OTHERS };

/// Returns the promises whose checks are repeated with calls about many rows.
fn repeated(promise: Promise) -> &'static [(Promise, Style)] {
    match promise {
        Promise::ManyKeepTheRules => &[
            (Promise::ReplaceRequiresTheVersion, AMONG_OTHERS),
            (Promise::ReplaceCreatesNothing, AMONG_OTHERS),
            (Promise::ReplacePreservesIdentity, AMONG_OTHERS),
            (Promise::ReplacePreservesLastUse, AMONG_OTHERS),
            (Promise::RemoveRequiresTheVersion, AMONG_OTHERS),
            (Promise::RemovedRecordIsGone, AMONG_OTHERS),
            (Promise::NewerRecordIsProtected, AMONG_OTHERS),
            (Promise::ReadYourWrites, AMONG_OTHERS),
            (Promise::RecordIsPreserved, AMONG_OTHERS),
            (Promise::IdsAreExact, AMONG_OTHERS),
            (Promise::ReplacedRecordIsIndexed, AMONG_OTHERS),
            (Promise::LastUseIsReported, AMONG_OTHERS),
            (Promise::TouchUndoesNothing, AMONG_OTHERS),
        ],
        Promise::OneRowWins => {
            &[(Promise::OneReplaceWins, AMONG_OTHERS), (Promise::OneReplaceWins, MIXED)]
        }
        Promise::DroppedRowsAreAtomic => &[
            (Promise::DroppedCallsAreAtomic, AMONG_OTHERS),
            (Promise::CallsLeaveNothingBehind, AMONG_OTHERS),
        ],
        Promise::ManyAgreeOnThreads => &[(Promise::ThreadsAgree, MIXED)],
        Promise::ManyAgreeThroughHandles => {
            &[(Promise::HandlesAgree, FIND_FIRST), (Promise::HandlesAgree, VERSIONS_FIRST)]
        }
        Promise::ManySurviveReopening => &[(Promise::SurvivesReopening, AMONG_OTHERS)],
        Promise::ChangesOfManyAreReported => &[(Promise::ChangesReachEveryHandle, AMONG_OTHERS)],
        Promise::FailuresOfManyAreErrors => {
            &[(Promise::FailuresAreErrors, AMONG_OTHERS), (Promise::OutagesEnd, AMONG_OTHERS)]
        }
        Promise::LostRowsAreIndeterminate => &[(Promise::LostAnswersAreIndeterminate, ALONE)],
        Promise::RefusedRowsAreUnavailable => &[(Promise::RefusedCallsAreUnavailable, ALONE)],
        Promise::DamagedRowsAreReported => &[(Promise::DamageIsReported, AMONG_OTHERS)],
        Promise::ClosingHidesNoRow => &[(Promise::ClosingHidesNothing, AMONG_OTHERS)],
        Promise::ErrorsOfManyLeakNothing => &[(Promise::ErrorsLeakNothing, AMONG_OTHERS)],
        _ => &[],
    }
}

/// Returns whether a promise has only checks that are repeated.
fn only_repeats(promise: Promise) -> bool {
    matches!(
        promise,
        Promise::ManyAgreeOnThreads
            | Promise::ManyAgreeThroughHandles
            | Promise::ManySurviveReopening
            | Promise::ErrorsOfManyLeakNothing
    )
}

/// Checks a promise, each part on a new store.
pub(in crate::conformance) async fn check(place: &dyn Place, promise: Promise) -> Verdict {
    let mut verdict = Ok(());
    if !only_repeats(promise) {
        verdict = on_a_new_store(place, promise, None).await;
    }
    let (mut checked, mut unchecked) = (!only_repeats(promise) && verdict.is_ok(), None);
    for (single, style) in repeated(promise) {
        if matches!(verdict, Err(NotKept::Broken(_))) {
            break;
        }
        match on_a_new_store(place, *single, Some((Calls::ALL, *style))).await {
            Ok(()) => checked = true,
            Err(NotKept::NotChecked(why)) => drop(unchecked.get_or_insert(why)),
            Err(NotKept::Broken(what)) => {
                verdict = broken_by(place, *single, *style, what).await;
            }
        }
    }
    match (verdict, unchecked) {
        (Ok(()), Some(why)) if !checked => Err(NotKept::NotChecked(why)),
        (Err(NotKept::NotChecked(_)), _) if checked => Ok(()),
        (verdict, _) => verdict,
    }
}

/// Checks a promise with single calls, or with calls about many rows.
async fn on_a_new_store(
    place: &dyn Place,
    promise: Promise,
    way: Option<(Calls, Style)>,
) -> Verdict {
    let notes = Arc::<Notes>::default();
    let mut lab = place.fresh().await?;
    if let Some((calls, style)) = way {
        lab = Box::new(ManyLab { lab, calls, style, notes: notes.clone() });
    }
    let spawn = |job| place.spawn(job);
    let verdict = crate::conformance::verdict(&mut *lab, &spawn, promise).await;
    lab.clean_up().await;
    match notes.fault() {
        Some(fault) => broken(fault),
        None => verdict,
    }
}

/// Makes the check again with one of the calls at a time, and names the call that breaks the promise.
async fn broken_by(place: &dyn Place, promise: Promise, style: Style, seen: String) -> Verdict {
    // Reported here too, because a race that was seen twice need not be seen when the single promise is checked.
    if let Err(NotKept::Broken(seen)) = on_a_new_store(place, promise, None).await {
        return broken(format!("with single calls too, in the check of {promise}: {seen}"));
    }
    let in_race = if style.mixed { "a race of single calls and " } else { "" };
    for (call, calls) in Calls::ALONE {
        if let Err(NotKept::Broken(seen)) =
            on_a_new_store(place, promise, Some((calls, style))).await
        {
            return broken(format!("with {in_race}`{call}` in the check of {promise}: {seen}"));
        }
    }
    broken(format!("with {in_race}the calls about many rows in the check of {promise}: {seen}"))
}

/// A lab whose stores make the calls about many rows.
struct ManyLab<'l> {
    lab: Box<dyn Lab + 'l>,
    calls: Calls,
    style: Style,
    notes: Arc<Notes>,
}

impl ManyLab<'_> {
    fn over(&self, store: Arc<dyn TokenStore>) -> ManyCalls {
        ManyCalls::over(store, self.calls, self.style, self.notes.clone())
    }
}

#[async_trait]
impl Lab for ManyLab<'_> {
    fn store(&self) -> Result<Arc<dyn TokenStore>, NotKept> {
        Ok(Arc::new(self.over(self.lab.store()?)))
    }

    async fn reopen(&mut self) -> Option<Result<(), BoxError>> {
        self.lab.reopen().await
    }

    async fn second(&mut self) -> Option<Result<Box<dyn TokenStore>, BoxError>> {
        let second = self.lab.second().await?;
        Some(second.map(|second| Box::new(self.over(second.into())) as Box<dyn TokenStore>))
    }

    async fn make_unavailable(&mut self) -> bool {
        self.lab.make_unavailable().await
    }

    async fn make_available(&mut self) -> bool {
        self.lab.make_available().await
    }

    async fn lose_next_answer(&mut self) -> bool {
        self.lab.lose_next_answer().await
    }

    async fn refuse_next_call(&mut self) -> bool {
        self.lab.refuse_next_call().await
    }

    async fn plant_bytes(&mut self, id: TokenId, bytes: &[u8]) -> bool {
        self.lab.plant_bytes(id, bytes).await
    }

    async fn clean_up(self: Box<Self>) {
        self.lab.clean_up().await;
    }
}
