//! Fills the store of the example service, which must not run meanwhile, so that its page has
//! something to show.
//!
//! ```text
//! cargo run -p service-tokens-example --bin seed -- FOLDER NUMBER     that many tokens
//! cargo run -p service-tokens-example --bin seed -- FOLDER sample     as a year might leave them
//! cargo run -p service-tokens-example -- --folder FOLDER --issue-manager
//! ```

#[path = "../tokens.rs"]
#[allow(dead_code, reason = "the service opens the store as it is; here it gets a clock")]
mod tokens;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::{Clock, ManualClock, SystemClock};
use service_tokens::{FileStore, IssueRequest, Issued, Requirement, RevokeRequest, TokenService};
use tokio::task::JoinSet;

use tokens::OWNER;

/// So many wait at a time for the disk, which brings them there together.
const AT_ONCE: usize = 64;

/// The type, to whom, days since it was created, days for which it lives, hours since its last use,
/// and whether it was revoked then.
type Token = (&'static str, &'static str, i64, u64, Option<i64>, bool);

/// Some months that a sample looks back on.
const SAMPLE: &[Token] = &[
    ("connector", "Nightly backup, Frankfurt", 212, 365, Some(6), false),
    ("connector", "Invoice import from SAP", 180, 365, Some(1), false),
    ("developer", "Ada Lovelace’s laptop", 121, 180, Some(27), false),
    ("connector", "Scanner, third floor", 97, 90, Some(180), false),
    ("connector", "Warehouse Rotterdam", 83, 90, Some(2), false),
    ("connector", "Payroll export", 64, 90, Some(75), false),
    ("developer", "Continuous integration", 41, 90, Some(0), false),
    ("connector", "Old file server", 33, 365, Some(700), true),
    ("connector", "Web shop, returns", 30, 90, Some(3), false),
    ("connector", "Fax gateway", 12, 365, None, false),
    ("developer", "Grace Hopper, on call", 4, 7, Some(5), false),
    ("connector", "Partner portal, staging", 1, 30, None, false),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(what), None) = (args.next(), args.next(), args.next()) else {
        return Err("seed FOLDER NUMBER, or seed FOLDER sample".into());
    };
    std::fs::create_dir_all(&folder)?;
    let now = SystemClock::new().now();
    // The service keeps its time from running backwards, so it begins before all that will have happened.
    let clock = Arc::new(ManualClock::new(now - TimeDelta::days(400)));
    let journal = Path::new(&folder).join("tokens.journal");
    let service = Arc::new(tokens::builder(&journal)?.clock(clock.clone()).build()?);
    if what == "sample" {
        sample(&service, &clock, now).await?;
    } else {
        many(&service, &clock, now, what.parse()?).await?;
    }
    service.store().close().await;
    Ok(())
}

/// Programs 1 to `number`, one a second until now.
async fn many(
    service: &Arc<TokenService<FileStore>>,
    clock: &ManualClock,
    now: DateTime<Utc>,
    number: usize,
) -> Result<(), Box<dyn Error>> {
    let mut issuing = JoinSet::new();
    for n in 1..=number {
        if issuing.len() == AT_ONCE {
            issuing.join_next().await.transpose()?.transpose()?;
        }
        clock.set(now - TimeDelta::seconds(i64::try_from(number - n)?));
        let token_type = if n % 10 == 0 { "developer" } else { "connector" };
        let service = service.clone();
        issuing.spawn(async move {
            let request = IssueRequest::new(token_type, format!("Program {n:06}"));
            service.owner(OWNER).issue(request).await.map(drop)
        });
    }
    while let Some(issued) = issuing.join_next().await {
        issued??;
    }
    Ok(())
}

async fn sample(
    service: &TokenService<FileStore>,
    clock: &ManualClock,
    now: DateTime<Utc>,
) -> Result<(), Box<dyn Error>> {
    // Time does not run backwards here either: what happened, in order. `false`: its last use.
    let mut events = Vec::new();
    for (n, &(_, _, days_ago, _, hours_ago, _)) in SAMPLE.iter().enumerate() {
        // At different times of the day.
        let minutes = days_ago * 1440 + 37 * days_ago % 500;
        events.push((now - TimeDelta::minutes(minutes), true, n));
        events.extend(hours_ago.map(|hours| (now - TimeDelta::minutes(60 * hours + 7), false, n)));
    }
    events.sort_unstable();
    let mut tokens: [Option<Issued>; SAMPLE.len()] = [const { None }; SAMPLE.len()];
    for (at, created, n) in events {
        clock.set(at);
        let (token_type, issued_to, _, lifetime, _, revoked) = SAMPLE[n];
        if created {
            let request = IssueRequest::new(token_type, issued_to)
                .expires_in(Duration::from_secs(lifetime * 86_400));
            tokens[n] = Some(service.owner(OWNER).issue(request).await?);
        } else if let Some(issued) = &tokens[n] {
            service.verify(issued.token.expose_secret(), &Requirement::any_token()).await?;
            if revoked {
                let request = RevokeRequest::new().by("Ada Lovelace").reason("the server is gone");
                service.owner(OWNER).revoke(issued.record.id(), request).await?;
            }
        }
    }
    clock.set(now);
    service.flush_last_used().await?;
    Ok(())
}
