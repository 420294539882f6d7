//! The operations that a token may try.

use std::time::Duration;

use super::super::harness::HOUR;
use proptest::prelude::*;
use service_tokens::record::ReplacedSecret;
use service_tokens::{IssueRequest, RotateRequest};

/// The grants from which scopes are made.
pub(crate) const GRANTS: [&str; 15] = [
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
];

pub(crate) type Grants = Vec<usize>;

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Issues with all scopes of the type, or with some of the caller's and perhaps one more.
    Issue {
        token_type: usize,
        scopes: Option<(u64, Option<usize>)>,
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
        end: End,
    },
    EndOlder {
        target: usize,
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
    /// The caller is one of the latest tokens that were obtained. It is verified now, or its last
    /// verification is used.
    Operation {
        token: usize,
        fresh: bool,
        what: What,
    },
    /// Presents one of the latest tokens to revoke it.
    Present {
        token: usize,
    },
    Pass(Duration),
    /// Changes the scopes of the types.
    Retype([Grants; 3]),
}

#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The tokens at the start. The first one is the token under test. The others belong to any owner.
    pub(crate) tokens: Vec<(usize, Grants, End)>,
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
    let what = prop_oneof![
        12 => (types, scopes, starts, ends()).prop_map(
            |(token_type, scopes, start, end)| {
                What::Issue { token_type, scopes, start, end }
            }
        ),
        10 => (0..1_000usize, rotations())
            .prop_map(|(target, rotation)| What::Rotate { target, rotation }),
        4 => rotations().prop_map(|rotation| What::RotateSelf { rotation }),
        2 => (0..1_000usize).prop_map(|target| What::Revoke { target }),
        2 => (0..1_000usize, amended, ends())
            .prop_map(|(target, scopes, end)| What::Amend { target, scopes, end }),
        2 => (0..1_000usize).prop_map(|target| What::EndOlder { target }),
    ];
    prop_oneof![
        60 => (0..1_000usize, proptest::bool::weighted(0.7), what)
            .prop_map(|(token, fresh, what)| Command::Operation { token, fresh, what }),
        5 => (1..12u32).prop_map(|hours| Command::Pass(hours * HOUR)),
        1 => (0..1_000usize).prop_map(|token| Command::Present { token }),
        5 => (busy_grants(), proptest::bool::ANY, grants(), busy_grants()).prop_map(
            |(broad, wide, narrow, mixed)| {
                let broad = if wide { (0..GRANTS.len()).collect() } else { broad };
                Command::Retype([broad, narrow, mixed])
            }
        ),
    ]
}

pub(crate) fn starts() -> impl Strategy<Value = Start> {
    let first = (Just(0), busy_grants(), (24..72u32).prop_map(|hours| End::In(hours * HOUR)));
    let others = proptest::collection::vec((0..2usize, grants(), ends()), 1..6);
    (first, others, proptest::bool::weighted(0.2)).prop_map(|(first, others, outliving)| Start {
        tokens: [&[first][..], &others].concat(),
        outliving,
    })
}

pub(crate) fn names(grants: &Grants) -> impl Iterator<Item = &'static str> {
    grants.iter().map(|grant| GRANTS[*grant])
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
