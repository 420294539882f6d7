//! The check of the clock of this machine against the newest time in the token file.
//!
//! Each command is a new process, so it cannot see that the clock jumped. Under a clock that is far ahead,
//! living tokens look expired and unused. The file of a service in use has times of the last days, so a clock
//! that is much later than all of them is doubtful. `clock_gap` finds the clock that was ahead in earlier
//! commands too.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use service_tokens::store::{LastUsed, MAX_PAGE_LEN, States};
use service_tokens::{FileStore, Filter, ListRequest, StoredRecord, TokenService};

use crate::clock_gap::{self, Gap};
use crate::exit::Exit;
use crate::output::{note, time};
use crate::prompt::confirm;

/// The time after which a file without a newer time makes the clock doubtful.
pub(crate) const MAX_QUIET: Duration = Duration::from_secs(30 * 86_400);

/// The time by which the newest time in the file may be later than the clock.
const MAX_BEHIND: Duration = Duration::from_secs(3_600);

/// The help of the option that confirms the clock.
macro_rules! clock_help {
    () => {
        "  --clock-is-right          do not ask whether this machine's clock is right, if
                            it is far from the times in the file
"
    };
}
pub(crate) use clock_help;

/// The reason why a clock may be wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doubt {
    /// It is far from the newest time in the file, or every record would be removed.
    Apart { clock: DateTime<Utc>, newest: DateTime<Utc>, removes_all: bool },
    /// It is much later than the newest use of a token, so the writes after that use may be by the same clock.
    Unused { clock: DateTime<Utc>, used: DateTime<Utc> },
    /// Tokens expired in a gap between the times in the file.
    Gap { clock: DateTime<Utc>, gap: Gap },
}

impl Doubt {
    /// Returns the reason with its times.
    fn sentence(self) -> String {
        let (clock, newest, removes_all) = match self {
            Self::Apart { clock, newest, removes_all } => (clock, newest, removes_all),
            Self::Unused { clock, used } => {
                return format!(
                    "The clock of this machine shows {}, and the newest use of a token in the file is {}, {} \
                     earlier.",
                    time(clock),
                    time(used),
                    in_words(clock - used)
                );
            }
            Self::Gap { clock, gap: Gap { from, to, expired } } => {
                return format!(
                    "The clock of this machine shows {}. The file has no time between {} and {}, {} later. \
                     Records of tokens that expired in between would be removed: {expired}.",
                    time(clock),
                    time(from),
                    time(to),
                    in_words(to - from)
                );
            }
        };
        let (apart, direction) = match clock > newest {
            true => (clock - newest, "earlier"),
            false => (newest - clock, "later"),
        };
        let apart = in_words(apart);
        let all = if removes_all { "This would remove every record. " } else { "" };
        format!(
            "{all}The clock of this machine shows {}, and the newest time in the file is {}, {apart} {direction}.",
            time(clock),
            time(newest)
        )
    }
}

fn in_words(span: TimeDelta) -> String {
    match span.num_days() {
        0 => format!("{} hours", span.num_hours()),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

/// Returns the doubt about a clock that is later than the newest use of a token by more than `quiet`, or than
/// the newest time in the file if no token was used.
///
/// A command writes other times by its own clock. A use shows that the service saw the time.
pub(crate) fn ahead_of_uses(
    service: &TokenService<FileStore>,
    quiet: Duration,
) -> Result<Option<Doubt>, Exit> {
    let clock = service.now();
    match newest(service, clock - quiet, used)? {
        Some(used) if used < clock - quiet => Ok(Some(Doubt::Unused { clock, used })),
        Some(_) => Ok(None),
        None => ahead(service, quiet),
    }
}

/// Returns the doubt about a clock that is later than the newest time in the file by more than `quiet`.
fn ahead(service: &TokenService<FileStore>, quiet: Duration) -> Result<Option<Doubt>, Exit> {
    let clock = service.now();
    let newest = newest(service, clock - quiet, newest_of)?;
    let doubt = |newest| Doubt::Apart { clock, newest, removes_all: false };
    Ok(newest.filter(|newest| *newest < clock - quiet).map(doubt))
}

/// Returns the doubt about the clock before this number of records is removed, whose tokens ended longer ago
/// than the retention.
///
/// If the clock is ahead by less than the retention, no living token looks as if it had ended that long ago.
/// After a write under a clock that is ahead by more, only the gap before that write shows it.
pub(crate) fn before_removing(
    service: &TokenService<FileStore>,
    owner: Option<&str>,
    include_imported: bool,
    count: u64,
    retention: Duration,
) -> Result<Option<Doubt>, Exit> {
    let all = Filter::new().states(States::ALL);
    let clock = service.now();
    if block_on(service.all_owners().count(all))? > count {
        if let Some(doubt) = ahead(service, retention.min(MAX_QUIET))? {
            return Ok(Some(doubt));
        }
        let gap = clock_gap::before_removing(service, owner, include_imported, retention)?;
        return Ok(gap.map(|gap| Doubt::Gap { clock, gap }));
    }
    let doubt = |newest| Doubt::Apart { clock, newest, removes_all: true };
    Ok(newest(service, clock, newest_of)?.map(doubt))
}

/// Warns if the clock is far from the newest time in the file, because the command stores times that are
/// computed from it.
pub(crate) fn warn(service: &TokenService<FileStore>) -> Result<(), Exit> {
    let clock = service.now();
    let Some(newest) = newest(service, clock - MAX_QUIET, newest_of)? else { return Ok(()) };
    if newest < clock - MAX_QUIET || newest > clock + MAX_BEHIND {
        let sentence = Doubt::Apart { clock, newest, removes_all: false }.sentence();
        note(format_args!(
            "warning: {sentence} If the clock is wrong, the times of this command are wrong too. Check it \
             with `date -u`."
        ));
    }
    Ok(())
}

/// Confirms that the clock is right. `is_right` is the option that says so, and `unattended` says that no
/// person answers.
pub(crate) fn confirm_clock(
    doubt: Option<Doubt>,
    is_right: bool,
    unattended: bool,
) -> Result<(), Exit> {
    let Some(doubt) = doubt.filter(|_| !is_right) else { return Ok(()) };
    let sentence = doubt.sentence();
    if unattended {
        return Err(Exit::Failed(format!(
            "{sentence} Under a wrong clock, living tokens look expired and unused: nothing was changed\n\
             hint: check it with `date -u`; if it is right, add --clock-is-right"
        )));
    }
    note(format_args!(
        "{sentence}\nUnder a wrong clock, living tokens look expired and unused. Check it with `date -u`."
    ));
    confirm("Is the clock right?")
}

/// Shows the doubt about the clock in a dry run.
pub(crate) fn show(doubt: Option<Doubt>) {
    if let Some(doubt) = doubt {
        note(format_args!("warning: {}", doubt.sentence()));
    }
}

/// Returns the newest time of the records, or one that is not before `enough`. `None` means that no record has
/// one.
fn newest(
    service: &TokenService<FileStore>,
    enough: DateTime<Utc>,
    of: fn(&StoredRecord) -> Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, Exit> {
    let mut newest = None;
    let all = Filter::new().states(States::ALL);
    let mut request = ListRequest::from(all).limit(MAX_PAGE_LEN);
    loop {
        let page = block_on(service.all_owners().list(request.clone()))?;
        newest = newest.max(page.items.iter().filter_map(of).max());
        match page.next {
            Some(next) if newest.is_none_or(|newest| newest < enough) => {
                request = request.after(next);
            }
            _ => return Ok(newest),
        }
    }
}

/// Returns the newest time at which a clock was read for the record.
fn newest_of(stored: &StoredRecord) -> Option<DateTime<Utc>> {
    times_of(stored).max()
}

/// Returns the time of the last use.
fn used(stored: &StoredRecord) -> Option<DateTime<Utc>> {
    match stored.last_used {
        LastUsed::At(used) => Some(used),
        _ => None,
    }
}

/// Returns the times at which a clock was read for the record.
pub(crate) fn times_of(stored: &StoredRecord) -> impl Iterator<Item = DateTime<Utc>> {
    let record = &stored.record;
    let revoked = record.revocation().map(|revocation| revocation.at);
    [record.created_at(), record.secret_created_at(), record.end_set_at()]
        .into_iter()
        .chain(record.suspensions().iter().map(|suspension| suspension.since))
        .chain(used(stored))
        .chain(revoked)
}
