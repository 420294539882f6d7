//! Random histories against a model that remembers every secret of the token.

use super::life::{Verdict, at, digest_of, first_use_of, issued, rotation, verdict};
use super::*;

/// The effect of rotations without a record: the end of each secret.
#[derive(Debug, Clone)]
struct Model {
    /// For each secret, its end. `None` for the newest, which ends with the token.
    ends: Vec<Option<i64>>,
    /// For each secret, its creation time.
    made: Vec<i64>,
    /// For each secret, whether it ends when the newest is used.
    on_first_use: Vec<bool>,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    revoked: Option<(i64, usize)>,
}

impl Model {
    fn state(&self, now: i64) -> State {
        match self {
            Self { revoked: Some(_), .. } => State::Revoked,
            Self { expires_at: Some(end), .. } if *end <= now => State::Expired,
            Self { not_before: Some(start), .. } if *start > now => State::Pending,
            _ => State::Active,
        }
    }

    fn is_live(&self, secret: usize, now: i64) -> bool {
        self.ends[secret].is_none_or(|end| now < end)
    }

    fn live(&self, now: i64) -> Vec<usize> {
        (0..self.ends.len()).filter(|secret| self.is_live(*secret, now)).collect()
    }

    /// Returns the secrets with the latest past end. There are several if they ended together.
    fn ended_last(&self, now: i64) -> Vec<usize> {
        let ended = |secret: &usize| !self.is_live(*secret, now);
        let last = (0..self.ends.len()).filter(ended).map(|secret| self.ends[secret]).max();
        (0..self.ends.len()).filter(|secret| Some(self.ends[*secret]) == last).collect()
    }

    fn rotate(
        &mut self,
        now: i64,
        older_ends: OlderEnds,
        replaces: Option<ReplacedSecret>,
        expires_at: Option<Option<i64>>,
    ) -> Result<(), RotateDenied> {
        if self.state(now) != State::Active {
            return Err(RotateDenied::NotActive(self.state(now)));
        }
        let live = self.live(now);
        let newest = self.ends.len() - 1;
        assert!(live.contains(&newest) && live.len() <= 2);
        let overlap = live.len() == 2;
        if overlap && replaces.is_none() {
            return Err(RotateDenied::OverlapRuns);
        }
        let wanted = match older_ends {
            OlderEnds::Now => now,
            OlderEnds::At(end) | OlderEnds::OnFirstUse { latest: end } => {
                end.timestamp_micros().max(now)
            }
        };
        let lost = overlap && replaces == Some(ReplacedSecret::Newest);
        if lost && matches!(older_ends, OlderEnds::Now) {
            self.ends[live[0]] = Some(now);
        }
        let end = if lost { now } else { wanted };
        if overlap && replaces == Some(ReplacedSecret::Oldest) {
            self.ends[live[0]] = Some(now);
        }
        self.ends[newest] = Some(end);
        self.on_first_use[newest] = matches!(older_ends, OlderEnds::OnFirstUse { .. });
        self.on_first_use.push(false);
        self.ends.push(None);
        // Secrets are 2 ms apart, so that a time in milliseconds names one of them.
        self.made.push(now.max(self.made[newest] + 2_000));
        self.expires_at = expires_at.unwrap_or(self.expires_at);
        Ok(())
    }

    /// Returns whether a use of this secret ends another one.
    fn first_use(&mut self, secret: usize, now: i64) -> bool {
        let live = self.live(now);
        let ends = self.state(now) == State::Active
            && live.len() == 2
            && secret == live[1]
            && self.on_first_use[live[0]];
        if ends {
            self.ends[live[0]] = Some(now);
        }
        ends
    }

    /// Checks that each time stored with a digest is the time of that secret.
    fn agrees_with_stored_times(&self, record: &Record) {
        let secret = |digest| (0..self.ends.len()).find(|secret| digest_of(*secret) == digest);
        if let Some(older) = record.older() {
            let secret = secret(older.digest).unwrap();
            assert_eq!(from_micros(self.made[secret]), older.created_at);
            assert_eq!(self.ends[secret].map(from_micros), Some(older.latest_end));
        }
        if let Some(ended) = record.ended() {
            let secret = secret(ended.digest).unwrap();
            assert_eq!(from_micros(self.made[secret]), ended.created_at);
            assert_eq!(self.ends[secret].map(from_micros), Some(ended.ended_at));
        }
    }

    fn agrees(&self, record: &Record, now: i64) {
        assert_eq!(record.state(from_micros(now)), self.state(now));
        let live = self.live(now);
        assert!((1..=2).contains(&live.len()), "{live:?}");
        assert_eq!(
            record.overlap(from_micros(now)).map(|overlap| overlap.ends_at.timestamp_micros()),
            (live.len() == 2)
                .then(|| self.ends[live[0]].unwrap().min(self.expires_at.unwrap_or(i64::MAX))),
        );
        for secret in 0..self.ends.len() {
            let verdict = verdict(record, secret, now);
            let is_live = self.is_live(secret, now);
            let expected = match self.state(now) {
                State::Revoked => Refusal::Revoked,
                _ if !is_live => Refusal::SecretEnded,
                State::Expired => Refusal::Expired,
                State::Pending => Refusal::NotYetActive,
                State::Suspended => Refusal::Suspended,
                State::Active => {
                    assert_eq!(verdict, Verdict::Accepted, "secret {secret} at {now}: {self:?}");
                    continue;
                }
            };
            // The record recognises at least the last ended secret, and it may forget earlier ones.
            // It accepts none of them.
            let unknown = !is_live && verdict == Verdict::Mismatch(Refusal::WrongSecret);
            assert!(
                unknown || verdict == Verdict::Denied(expected),
                "secret {secret} at {now}: {verdict:?}, {self:?}"
            );
        }
        let last = self.ended_last(now);
        let known = |secret: &usize| matches!(verdict(record, *secret, now), Verdict::Denied(_));
        assert!(last.is_empty() || last.iter().any(known), "{last:?} at {now}: {self:?}");
        self.agrees_with_stored_times(record);
        assert_eq!(verdict(record, 61, now), Verdict::Mismatch(Refusal::WrongSecret));
        let revoked = record.revocation().map(|r| (r.at.timestamp_micros(), r.by.clone()));
        let expected = self.revoked.map(|(at, by)| (at, Some(by.to_string().into())));
        assert_eq!(revoked, expected);
    }
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Pass(i64),
    Rotate(RelativeEnd, Option<ReplacedSecret>, Option<Option<i64>>),
    Revoke,
    /// Uses the secret that is this many rotations older than the newest. The next step is this
    /// much later.
    Use(usize, i64),
}

/// [`OlderEnds`] relative to now.
#[derive(Debug, Clone, Copy)]
enum RelativeEnd {
    Now,
    In(i64),
    FirstUse(i64),
}

fn operations() -> impl Strategy<Value = Operation> {
    let ends = prop_oneof![
        1 => Just(RelativeEnd::Now),
        3 => (-2..20i64).prop_map(RelativeEnd::In),
        2 => (-2..20i64).prop_map(RelativeEnd::FirstUse),
    ];
    let replaces = prop_oneof![
        2 => Just(None), 2 => Just(Some(ReplacedSecret::Newest)), 2 => Just(Some(ReplacedSecret::Oldest)),
    ];
    let expiry = prop_oneof![
        8 => Just(None), 1 => Just(Some(None)), 1 => (1..40i64).prop_map(|end| Some(Some(end))),
    ];
    prop_oneof![
        8 => (0..8i64).prop_map(Operation::Pass),
        12 => (ends, replaces, expiry).prop_map(|(e, r, x)| Operation::Rotate(e, r, x)),
        1 => Just(Operation::Revoke),
        8 => (0..3usize, prop_oneof![3 => Just(0), 1 => 0..4i64]).prop_map(|(s, t)| Operation::Use(s, t)),
    ]
}

/// Returns times within the range of a record, at its ends and far beyond.
fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0..=LATEST, 1 => any::<i64>(), 1 => -2..3i64, 1 => LATEST - 2..LATEST + 3]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn random_history_agrees_with_model(
        not_before in proptest::option::weighted(0.3, 0..10i64),
        expires_in in proptest::option::weighted(0.3, 20..60i64),
        history in vec(operations(), 0..30),
    ) {
        let mut now = 1_000;
        let not_before = not_before.map(|after| now + after);
        let expires_at = expires_in.map(|after| now + after);
        let mut record = issued(now, not_before, expires_at);
        let mut model = Model {
            ends: vec![None], made: vec![now], on_first_use: vec![false],
            not_before, expires_at, revoked: None,
        };
        for (step, operation) in history.into_iter().enumerate() {
            match operation {
                Operation::Pass(micros) => now += micros,
                Operation::Rotate(ends, replaces, expiry) => {
                    let older_ends = match ends {
                        RelativeEnd::Now => OlderEnds::Now,
                        RelativeEnd::In(after) => at(now + after),
                        RelativeEnd::FirstUse(after) => {
                            OlderEnds::OnFirstUse { latest: from_micros(now + after) }
                        }
                    };
                    let expiry = expiry.map(|end| end.map(|after| now + after));
                    let expected = model.rotate(now, older_ends, replaces, expiry);
                    let rotation = Rotation {
                        digest: digest_of(model.ends.len() - 1),
                        older_ends,
                        replaces,
                        expires_at: expiry.map(|end| end.map(from_micros)),
                        by: None,
                        on_behalf_of: None,
                        made_with: None,
                    };
                    match record.rotate(Times::at(from_micros(now)), &rotation) {
                        Ok(rotated) => {
                            prop_assert_eq!(expected, Ok(()));
                            prop_assert_eq!(rotated.id(), record.id());
                            prop_assert_eq!(rotated.owner(), record.owner());
                            prop_assert_eq!(rotated.created_at(), record.created_at());
                            prop_assert!(rotated.secret_created_at() >= from_micros(now));
                            prop_assert!(rotated.secret_created_at() > record.secret_created_at());
                            prop_assert!(rotated.holds(&rotation.digest));
                            record = rotated;
                        }
                        Err(denied) => prop_assert_eq!(expected, Err(denied)),
                    }
                }
                Operation::Use(before, later) => {
                    let secret = (model.ends.len() - 1).saturating_sub(before);
                    let first_use = first_use_of(&record, secret, now);
                    now += later;
                    let used = first_use.and_then(|first| record.first_used(&first, from_micros(now)));
                    prop_assert_eq!(used.is_some(), model.first_use(secret, now));
                    record = used.unwrap_or(record);
                }
                Operation::Revoke => {
                    let by = step.to_string();
                    let revoked = record.revoke(from_micros(now), Some(&by), None).unwrap();
                    prop_assert_eq!(revoked.is_none(), model.revoked.is_some());
                    model.revoked.get_or_insert((now, step));
                    record = revoked.unwrap_or(record);
                }
            }
            // A store retains only bytes, so the record must behave the same after decoding.
            record = Record::from_bytes(&record.to_bytes()).unwrap();
            model.agrees(&record, now);
        }
        // Only the time changes: the states must change at exactly these moments.
        for end in model.ends.clone().into_iter().flatten().chain(model.expires_at) {
            for moment in [end - 1, end, end + 1] {
                if moment >= now {
                    model.agrees(&record, moment);
                }
            }
        }
    }

    /// Each operation fails or makes a record that can be encoded and decoded.
    #[test]
    fn every_operation_gives_a_storable_record(
        now in moments(),
        end in moments(),
        expiry in proptest::option::of(proptest::option::of(moments())),
        replaces in prop_oneof![Just(None), Just(Some(ReplacedSecret::Newest))],
        by in proptest::option::of("\\PC{0,3}"),
        reason in proptest::option::of("[ \n]{0,2}|x{4090,4100}"),
    ) {
        let now = from_micros(now);
        let record = issued(1_000, None, None);
        let expires_at = expiry.map(|end| end.map(from_micros));
        for older_ends in [at(end), OlderEnds::OnFirstUse { latest: from_micros(end) }] {
            let rotation = Rotation { expires_at, ..rotation(1, older_ends, replaces) };
            if let Ok(rotated) = record.rotate(Times::at(now), &rotation) {
                prop_assert_eq!(Record::from_bytes(&rotated.to_bytes()), Ok(rotated));
            }
        }
        let blank = |text: &Option<String>| text.as_ref().is_some_and(|t| t.trim().is_empty());
        let long = reason.as_ref().is_some_and(|reason| reason.len() > MAX_TEXT_LEN);
        match record.revoke(now, by.as_deref(), reason.as_deref()) {
            Ok(revoked) => {
                let revoked = revoked.unwrap();
                prop_assert_eq!(revoked.state(now), State::Revoked);
                prop_assert_eq!(Record::from_bytes(&revoked.to_bytes()), Ok(revoked));
            }
            Err(_) => prop_assert!(blank(&by) || blank(&reason) || long),
        }
    }
}
