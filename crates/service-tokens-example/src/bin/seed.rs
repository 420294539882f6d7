//! Fills the store of the example service with tokens for its page. Stop the service first.
//!
//! ```text
//! cargo run -p service-tokens-example --bin seed -- FOLDER NUMBER     # that many tokens
//! cargo run -p service-tokens-example --bin seed -- FOLDER sample     # a sample of a year
//! cargo run -p service-tokens-example -- --folder FOLDER --issue-manager
//! ```

#[path = "../tokens.rs"]
#[allow(
    dead_code,
    reason = "the service calls open(), and this program calls builder() to set a clock"
)]
mod tokens;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::{Clock, ManualClock, SystemClock};
use service_tokens::{
    FileStore, IssueRequest, Issued, Requirement, RevokeRequest, TokenService, TokenStore,
};
use tokio::task::JoinSet;

use tokens::OWNER;

/// The number of concurrent issues. The store writes them to disk together.
const CONCURRENCY: usize = 64;

/// The type, the text of *Issued To*, the days since the issue, the lifetime in days, the hours since the
/// last use, and whether the token was revoked at that time.
type Token = (&'static str, &'static str, i64, u64, Option<i64>, bool);

/// The tokens of the sample.
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
    let (Some(folder), Some(content), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: seed FOLDER NUMBER, or seed FOLDER sample".into());
    };
    std::fs::create_dir_all(&folder)?;
    let now = SystemClock::new().now();
    // The service's time never runs backwards, so the clock starts before the first event.
    let clock = Arc::new(ManualClock::new(now - TimeDelta::days(400)));
    let journal = Path::new(&folder).join("tokens.journal");
    let service = Arc::new(tokens::builder(&journal)?.clock(clock.clone()).build()?);
    if content == "sample" {
        sample(&service, &clock, now).await?;
    } else {
        many(&service, &clock, now, content.parse()?).await?;
    }
    Ok(service.store().close().await?)
}

/// Issues tokens for the programs 1 to `number`, one per second until now.
async fn many(
    service: &Arc<TokenService<FileStore>>,
    clock: &ManualClock,
    now: DateTime<Utc>,
    number: usize,
) -> Result<(), Box<dyn Error>> {
    let mut issuing = JoinSet::new();
    for n in 1..=number {
        if issuing.len() == CONCURRENCY {
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

/// Issues, uses and revokes the tokens of the sample.
async fn sample(
    service: &TokenService<FileStore>,
    clock: &ManualClock,
    now: DateTime<Utc>,
) -> Result<(), Box<dyn Error>> {
    // The service's time never runs backwards, so the events are sorted. `true` is an issue, and `false` is
    // a last use.
    let mut events = Vec::new();
    for (n, &(_, _, days_ago, _, hours_ago, _)) in SAMPLE.iter().enumerate() {
        // This spreads the issues over the day.
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
