//! The operations that a token may try.

use std::time::Duration;

use super::super::harness::HOUR;
use super::oracle::NETWORKS;
use proptest::prelude::*;
use service_tokens::network::Network;
use service_tokens::record::ReplacedSecret;
use service_tokens::{AmendRequest, IssueRequest, Record, RotateRequest, ScopeSet, SuspendRequest};

/// The grants from which scopes are made.
pub(crate) const GRANTS: [&str; 16] = [
    "*",
    "a",
    "a:*",
    "a:x",
    "a:x:*",
    "b:x",
    "b:*",
    "service-tokens:*",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:rotate-self",
    "service-tokens:revoke",
    "service-tokens:introspect",
    "service-tokens:amend",
    "service-tokens:suspend",
];

pub(crate) type Grants = Vec<usize>;

/// The networks of a request. `own` selects networks of the token whose networks bound the request, and
/// `others` are of [`NETWORKS`].
#[derive(Debug, Clone)]
pub(crate) struct Nets {
    pub(crate) own: u64,
    pub(crate) others: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Issues with all scopes of the type, or with some of the caller's and perhaps one more.
    Issue {
        token_type: usize,
        scopes: Option<(u64, Option<usize>)>,
        networks: Option<Nets>,
        start: Option<Duration>,
        end: End,
    },
    Rotate {
        target: usize,
        rotation: Rotation,
    },
    RotateSelf {
        rotation: Rotation,
    },
    Revoke {
        target: usize,
    },
    /// Amends with some of the target's scopes and perhaps one more.
    Amend {
        target: usize,
        scopes: Option<(u64, Option<usize>)>,
        networks: Option<Nets>,
        end: End,
    },
    EndOlder {
        target: usize,
    },
    Suspend {
        target: usize,
        lasting: Option<Duration>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Unsaid,
    In(Duration),
    Never,
}

#[derive(Debug, Clone, Copy)]
enum Overlap {
    None,
    Until,
    UntilFirstUse,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    overlap: Overlap,
    replaces: Option<ReplacedSecret>,
    end: End,
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// The caller is one of the latest tokens that the first holder obtained, and sometimes any other one. It
    /// is verified now, or its last verification is used. `stray` is a place that its networks may not
    /// contain. Otherwise, `place` selects one that they contain.
    Operation {
        token: usize,
        fresh: bool,
        stray: bool,
        place: usize,
        what: What,
    },
    /// Presents one of the latest tokens to revoke it.
    Present {
        token: usize,
    },
    Pass(Duration),
    /// The embedder suspends or resumes a token.
    Suspend {
        target: usize,
        lasting: Option<Duration>,
    },
    Resume {
        target: usize,
    },
    /// The embedder rotates a token, and gives the new secret to a new holder.
    Rotate {
        target: usize,
        rotation: Rotation,
    },
    /// The embedder amends a token.
    Amend {
        target: usize,
        networks: Option<Nets>,
        end: End,
    },
    /// The owner gate closes or opens the owner of the token under test.
    Close(bool),
    /// Changes the scopes of the types, and whether they require networks.
    Retype([Grants; 3], [bool; 3]),
}

#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The tokens at the start, each with a holder of its own. The others than the first belong to any owner.
    pub(crate) tokens: Vec<(usize, Grants, Vec<usize>, End)>,
    /// Whether the policy allows obtained tokens to outlive their issuer.
    pub(crate) outliving: bool,
}

fn grants() -> impl Strategy<Value = Grants> {
    proptest::collection::vec(0..GRANTS.len(), 1..7)
}

/// Grants that permit some operation.
fn busy_grants() -> impl Strategy<Value = Grants> {
    grants().prop_map(|grants| [&grants[..], &[9, 10, 11, 14]].concat())
}

/// The networks of a token at the start: none, one or several.
fn some_networks() -> impl Strategy<Value = Vec<usize>> {
    let several = 2..5usize;
    prop_oneof![
        3 => Just(Vec::new()),
        2 => proptest::collection::vec(0..NETWORKS.len(), 1),
        3 => proptest::collection::vec(0..NETWORKS.len(), several),
    ]
}

/// The networks of a request. Most are within those of the bounding token.
fn requested_networks() -> impl Strategy<Value = Nets> {
    let own = prop_oneof![1 => Just(u64::MAX), 2 => proptest::num::u64::ANY, 2 => Just(0)];
    let others = prop_oneof![
        3 => Just(Vec::new()),
        3 => proptest::collection::vec(0..NETWORKS.len(), 1..3),
    ];
    (own, others).prop_map(|(own, others)| Nets { own, others })
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        5 => Just(End::Unsaid),
        3 => (1..72u32).prop_map(|hours| End::In(hours * HOUR)),
        1 => Just(End::Never),
    ]
}

fn rotations() -> impl Strategy<Value = Rotation> {
    let overlaps = prop_oneof![
        3 => Just(Overlap::None),
        1 => Just(Overlap::Until),
        1 => Just(Overlap::UntilFirstUse),
    ];
    let replaces = prop_oneof![
        Just(None),
        Just(Some(ReplacedSecret::Newest)),
        Just(Some(ReplacedSecret::Oldest))
    ];
    (overlaps, replaces, ends()).prop_map(|(overlap, replaces, end)| Rotation {
        overlap,
        replaces,
        end,
    })
}

pub(crate) fn commands() -> impl Strategy<Value = Command> {
    let some = prop_oneof![2 => Just(u64::MAX), 1 => proptest::num::u64::ANY];
    let more = proptest::option::weighted(0.3, 0..GRANTS.len());
    let scopes = proptest::option::weighted(0.8, (some, more.clone()));
    let types = prop_oneof![3 => Just(0usize), 1 => Just(1), 1 => Just(2)];
    let starts = proptest::option::weighted(0.1, (1..6u32).prop_map(|hours| hours * HOUR));
    let amended = proptest::option::weighted(0.3, (proptest::num::u64::ANY, more));
    let lasting = || proptest::option::weighted(0.8, (1..4u32).prop_map(|hours| hours * HOUR));
    let networks = |share| proptest::option::weighted(share, requested_networks());
    // Boxed, because proptest moves each value several times.
    let what = prop_oneof![
        12 => (types, scopes, networks(0.4), starts, ends()).prop_map(
            |(token_type, scopes, networks, start, end)| {
                What::Issue { token_type, scopes, networks, start, end }
            }
        ).boxed(),
        18 => (0..1_000usize, rotations())
            .prop_map(|(target, rotation)| What::Rotate { target, rotation }).boxed(),
        2 => rotations().prop_map(|rotation| What::RotateSelf { rotation }).boxed(),
        2 => (0..1_000usize).prop_map(|target| What::Revoke { target }).boxed(),
        2 => (0..1_000usize, lasting())
            .prop_map(|(target, lasting)| What::Suspend { target, lasting }).boxed(),
        5 => (0..1_000usize, amended, networks(0.7), ends()).prop_map(
            |(target, scopes, networks, end)| What::Amend { target, scopes, networks, end }
        ).boxed(),
        2 => (0..1_000usize).prop_map(|target| What::EndOlder { target }).boxed(),
    ]
    .boxed();
    let required = proptest::array::uniform3(proptest::bool::weighted(0.1));
    prop_oneof![
        72 => (0..1_000usize, proptest::bool::weighted(0.7), proptest::bool::weighted(0.1), 0..60usize, what)
            .prop_map(|(token, fresh, stray, place, what)| {
                Command::Operation { token, fresh, stray, place, what }
            }).boxed(),
        6 => (1..12u32).prop_map(|hours| Command::Pass(hours * HOUR)).boxed(),
        1 => (0..1_000usize).prop_map(|token| Command::Present { token }).boxed(),
        2 => (0..1_000usize, lasting())
            .prop_map(|(target, lasting)| Command::Suspend { target, lasting }).boxed(),
        6 => (0..1_000usize).prop_map(|target| Command::Resume { target }).boxed(),
        2 => (0..1_000usize, rotations())
            .prop_map(|(target, rotation)| Command::Rotate { target, rotation }).boxed(),
        5 => (0..1_000usize, networks(0.7), ends())
            .prop_map(|(target, networks, end)| Command::Amend { target, networks, end }).boxed(),
        2 => proptest::bool::weighted(0.3).prop_map(Command::Close).boxed(),
        6 => (busy_grants(), proptest::bool::ANY, grants(), busy_grants(), required).prop_map(
            |(broad, wide, narrow, mixed, required)| {
                let broad = if wide { (0..GRANTS.len()).collect() } else { broad };
                Command::Retype([broad, narrow, mixed], required)
            }
        ).boxed(),
    ]
}

pub(crate) fn starts() -> impl Strategy<Value = Start> {
    let end = (24..72u32).prop_map(|hours| End::In(hours * HOUR));
    let first = (Just(0), busy_grants(), some_networks(), end);
    let owner = prop_oneof![3 => Just(0usize), 1 => Just(1)];
    let any_grants = prop_oneof![grants(), busy_grants()];
    let others = (owner, any_grants, some_networks(), ends());
    let others = proptest::collection::vec(others, 1..6);
    (first, others, proptest::bool::weighted(0.2)).prop_map(|(first, others, outliving)| Start {
        // The second token is the equal of the first one, so each may rotate what the other one obtained.
        tokens: [&[first.clone(), first][..], &others].concat(),
        outliving,
    })
}

pub(crate) fn names(grants: &Grants) -> impl Iterator<Item = &'static str> {
    grants.iter().map(|grant| GRANTS[*grant])
}

pub(crate) fn networks(of: &[usize]) -> impl Iterator<Item = Network> {
    of.iter().map(|network| NETWORKS[*network].parse().unwrap())
}

impl Nets {
    /// Returns the selected networks, or `None` if the request then has none.
    pub(crate) fn within(&self, bound: &Record) -> Option<Vec<Network>> {
        let own = bound.networks().enumerate().filter(|(at, _)| self.own >> (at % 64) & 1 == 1);
        let all: Vec<_> = own.map(|(_, network)| network).chain(networks(&self.others)).collect();
        (!all.is_empty()).then_some(all)
    }
}

pub(crate) fn suspension(lasting: Option<Duration>) -> SuspendRequest {
    lasting.map_or_else(SuspendRequest::new, |lasting| SuspendRequest::new().lasting(lasting))
}

/// Returns an amendment with some of the present scopes and networks, and perhaps with more.
pub(crate) fn amendment(
    before: &Record,
    scopes: Option<(u64, Option<usize>)>,
    networks: Option<&Nets>,
    end: End,
) -> AmendRequest {
    let mut request = AmendRequest::new().issued_to("amended");
    if let Some((some, more)) = scopes {
        let kept = before.scopes().iter().enumerate();
        let kept = kept.filter(|(at, _)| some >> at & 1 == 1).map(|(_, scope)| scope);
        let more = more.map(|grant| GRANTS[grant]);
        request = request.scopes(ScopeSet::new(kept.chain(more)).unwrap());
    }
    if let Some(networks) = networks.and_then(|networks| networks.within(before)) {
        request = request.networks(networks);
    }
    match end {
        End::Unsaid => request,
        End::In(lifetime) => request.expires_in(lifetime),
        End::Never => request.never_expires(),
    }
}

pub(crate) fn with_end(request: IssueRequest, end: End) -> IssueRequest {
    match end {
        End::Unsaid => request,
        End::In(lifetime) => request.expires_in(lifetime),
        End::Never => request.never_expires(),
    }
}

impl Rotation {
    pub(crate) fn request(self) -> RotateRequest {
        let request = match self.overlap {
            Overlap::None => RotateRequest::at_once(),
            Overlap::Until => RotateRequest::with_overlap(HOUR),
            Overlap::UntilFirstUse => RotateRequest::until_first_use(HOUR),
        };
        let request = match self.replaces {
            Some(which) => request.replacing(which),
            None => request,
        };
        match self.end {
            End::Unsaid => request,
            End::In(lifetime) => request.expires_in(lifetime),
            End::Never => request.never_expires(),
        }
    }
}
