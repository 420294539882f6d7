//! Random histories of uses, flushes and rotations against a model: a shown use is never later than the
//! true one and less than the resolution earlier, and no used token is listed as unused.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    DAY, Fault, Faulty, HOUR, MICRO, MINUTE, Stores, any, builder, requirement, text,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, any as arbitrary, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::ReplacedSecret;
use service_tokens::store::LastUsed;
use service_tokens::{
    Filter, IssueRequest, ListRequest, RevokeRequest, RotateRequest, TokenId, TokenService,
};

behaviours! {
    shown_last_use_agrees_with_model,
    #[ignore = "campaign"]
    shown_last_use_agrees_with_model_campaign,
}

const TOKENS: usize = 4;

#[derive(Debug, Clone)]
enum Command {
    /// Presents the secret that is this many rotations older than the newest to one of two processes.
    Use {
        token: usize,
        before: usize,
        process: usize,
        uncached: bool,
    },
    /// The same with a requirement that no token of this type meets.
    Refused {
        token: usize,
    },
    Rotate {
        token: usize,
        until_first_use: bool,
        replaces: ReplacedSecret,
    },
    Revoke {
        token: usize,
    },
    Flush {
        process: usize,
        fault: Fault,
    },
    Pass(Duration),
}

fn commands() -> impl Strategy<Value = Command> {
    let token = || 0..TOKENS;
    let spans = prop_oneof![
        Just(MICRO),
        Just(MINUTE / 2),
        Just(MINUTE - MICRO),
        Just(MINUTE),
        Just(HOUR / 2),
        Just(DAY)
    ];
    let faults = prop_oneof![4 => Just(Fault::None), 1 => Just(Fault::Unavailable),
        1 => Just(Fault::DoneAndLost)];
    let replaces = prop_oneof![Just(ReplacedSecret::Newest), Just(ReplacedSecret::Oldest)];
    prop_oneof![
        12 => (token(), 0..3usize, 0..2usize, arbitrary::<bool>())
            .prop_map(|(token, before, process, uncached)| Command::Use { token, before, process, uncached }),
        1 => token().prop_map(|token| Command::Refused { token }),
        3 => (token(), arbitrary::<bool>(), replaces).prop_map(|(token, until_first_use, replaces)| {
            Command::Rotate { token, until_first_use, replaces }
        }),
        1 => prop_oneof![3 => Just(TOKENS), 1 => token()].prop_map(|token| Command::Revoke { token }),
        4 => (0..2usize, faults).prop_map(|(process, fault)| Command::Flush { process, fault }),
        8 => spans.prop_map(Command::Pass),
    ]
}

/// A secret and its end. The newest one has no end of its own.
struct Secret {
    text: String,
    ends: Option<DateTime<Utc>>,
    on_first_use: bool,
}

struct Token {
    id: TokenId,
    secrets: Vec<Secret>,
    revoked: bool,
    /// The true last use in each process.
    used: [Option<DateTime<Utc>>; 2],
    /// The part of `used` that is certainly in the store.
    flushed: [Option<DateTime<Utc>>; 2],
}

impl Token {
    fn is_live(&self, secret: usize, now: DateTime<Utc>) -> bool {
        !self.revoked && self.secrets[secret].ends.is_none_or(|end| now < end)
    }
}

struct Simulation {
    clock: Arc<ManualClock>,
    stores: [Arc<Faulty>; 2],
    processes: [TokenService<Arc<Faulty>>; 2],
    tokens: Vec<Token>,
    resolution: TimeDelta,
    ended: HashSet<String>,
}

impl Simulation {
    async fn apply(&mut self, command: Command) {
        // A record that is cached with a maximum age of zero is still fresh in the same moment.
        self.clock.advance(MICRO);
        let now = self.clock.now();
        match command {
            Command::Pass(span) => self.clock.advance(span),
            Command::Flush { process, fault } => {
                self.stores[process].arm(&[fault], Fault::None);
                let flushed = self.processes[process].flush_last_used().await;
                // Without pending uses the store is not called.
                if flushed.is_ok() {
                    for token in &mut self.tokens {
                        token.flushed[process] = token.used[process];
                    }
                } else {
                    assert_ne!(fault, Fault::None);
                }
                self.stores[process].disarm();
            }
            Command::Refused { token } => {
                let text = &self.tokens[token].secrets.last().unwrap().text;
                assert!(
                    self.processes[0].verify(text, &requirement("files:delete")).await.is_err()
                );
            }
            Command::Revoke { token } => {
                if let Some(token) = self.tokens.get_mut(token) {
                    let view = self.processes[0].all_owners();
                    view.revoke(token.id, RevokeRequest::new()).await.unwrap();
                    token.revoked = true;
                }
            }
            Command::Use { token, before, process, uncached } => {
                let token = &mut self.tokens[token];
                let newest = token.secrets.len() - 1;
                let secret = newest.saturating_sub(before);
                let (service, text) = (&self.processes[process], &token.secrets[secret].text);
                let outcome = match uncached {
                    false => service.verify(text, &any()).await,
                    true => service.verify_uncached(text, &any()).await,
                };
                assert_eq!(outcome.is_ok(), token.is_live(secret, now), "{outcome:?}");
                if outcome.is_err() {
                    self.ended.insert(text.clone());
                    return;
                }
                assert!(!self.ended.contains(text), "an ended secret was accepted");
                token.used[process] = Some(now);
                let running = |s: &&mut Secret| s.ends.is_some_and(|end| now < end);
                if secret == newest
                    && let Some(older) = token.secrets.iter_mut().find(running)
                    && older.on_first_use
                {
                    older.ends = Some(now);
                }
            }
            Command::Rotate { token, until_first_use, replaces } => {
                let token = &mut self.tokens[token];
                let request = match until_first_use {
                    true => RotateRequest::until_first_use(HOUR),
                    false => RotateRequest::with_overlap(HOUR),
                };
                let view = self.processes[0].all_owners();
                let rotated = view.rotate(token.id, request.replacing(replaces)).await;
                assert_eq!(rotated.is_ok(), !token.revoked, "{rotated:?}");
                let Ok(rotated) = rotated else { return };
                let newest = token.secrets.len() - 1;
                let running = |s: &Secret| s.ends.is_some_and(|end| now < end);
                let older = token.secrets.iter().position(running);
                if older.is_some() && replaces == ReplacedSecret::Newest {
                    token.secrets[newest].ends = Some(now);
                } else {
                    if let Some(older) = older {
                        token.secrets[older].ends = Some(now);
                    }
                    token.secrets[newest].ends = Some(now + TimeDelta::hours(1));
                    token.secrets[newest].on_first_use = until_first_use;
                }
                let text = text(&rotated);
                token.secrets.push(Secret { text, ends: None, on_first_use: false });
            }
        }
    }

    async fn compare(&self) {
        let now = self.clock.now();
        for (process, service) in self.processes.iter().enumerate() {
            let everything = Filter::new().states(service_tokens::store::States::ALL);
            let listed = service.all_owners().list(everything.clone().into()).await.unwrap().items;
            for token in &self.tokens {
                // The uses of this process and the flushed uses of the other one.
                let known = token.used[process].max(token.flushed[1 - process]);
                let truth = token.used[0].max(token.used[1]);
                let stored = listed.iter().find(|stored| stored.record.id() == token.id).unwrap();
                match stored.last_used {
                    LastUsed::At(shown) => {
                        assert!(Some(shown) <= truth, "{shown} is later than {truth:?}");
                        let latest = shown + self.resolution.max(TimeDelta::microseconds(1));
                        assert!(known.is_none_or(|known| known < latest), "{shown}: {known:?}");
                    }
                    other => assert_eq!((other, known), (LastUsed::Never, None)),
                }
                // Tries each time near a recorded or a true use.
                let micro = TimeDelta::microseconds(1);
                for time in truth.into_iter().chain(known).chain([now]) {
                    for since in [time - micro, time, time + micro, time + self.resolution] {
                        let query = ListRequest::from(everything.clone().unused_since(since));
                        let page = service.all_owners().list(query).await.unwrap();
                        let unused = page.items.iter().any(|stored| stored.record.id() == token.id);
                        let used = known.is_some_and(|known| known >= since);
                        assert!(!(used && unused), "used at {known:?}, and not since {since}?");
                        // It is not more cautious than documented either.
                        let issued = stored.record.created_at() < since;
                        let long_ago = truth.is_none_or(|truth| truth + self.resolution < since);
                        assert!(unused || !(issued && long_ago), "{truth:?} and {since}");
                    }
                }
            }
        }
    }
}

pub(crate) async fn shown_last_use_agrees_with_model(stores: Stores) {
    run(stores, 30);
}

pub(crate) async fn shown_last_use_agrees_with_model_campaign(stores: Stores) {
    run(stores, 60);
}

fn run(stores: Stores, cases: u32) {
    let config = ProptestConfig { cases, ..ProptestConfig::default() };
    let histories = (
        prop_oneof![3 => Just(MINUTE), 1 => Just(Duration::ZERO), 1 => Just(HOUR)],
        arbitrary::<bool>(),
        proptest::collection::vec(commands(), 1..60),
    );
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&histories, |(resolution, cached, history)| {
        block_on(async {
            let opened = stores.open();
            let clock = Arc::new(ManualClock::default());
            let stores = [(); 2].map(|()| Arc::new(Faulty::new(opened.store.clone())));
            let mut first = true;
            let processes = stores.clone().map(|store| {
                let builder = builder(store).clock(clock.clone()).last_used_resolution(resolution);
                // With a maximum age of zero, a cached record is as fresh as a read.
                let cached = cached && std::mem::take(&mut first);
                match cached {
                    true => builder.cache_records(Duration::ZERO, 100).build().unwrap(),
                    false => builder.build().unwrap(),
                }
            });
            let resolution = TimeDelta::from_std(resolution).unwrap();
            let mut simulation = Simulation {
                clock,
                stores,
                processes,
                tokens: vec![],
                resolution,
                ended: HashSet::new(),
            };
            for _ in 0..TOKENS {
                let request = IssueRequest::new("connector", "b").expires_in(300 * DAY);
                let issued = simulation.processes[0].owner("acme").issue(request).await.unwrap();
                simulation.tokens.push(Token {
                    id: issued.record.id(),
                    secrets: vec![Secret { text: text(&issued), ends: None, on_first_use: false }],
                    revoked: false,
                    used: [None; 2],
                    flushed: [None; 2],
                });
                simulation.clock.advance(MICRO);
            }
            for command in history {
                simulation.apply(command).await;
                simulation.compare().await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
