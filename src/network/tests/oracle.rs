//! Compares the module with sets of address ranges, which it does not use: a network is the numbers from
//! a first to a last one, and ranges are joined before they are compared.

use super::*;

/// A network as a family, its first address and its last address.
type Range = (bool, u128, u128);

/// A network as drawn: whether it is IPv4, the address of any host in it, the length of the prefix.
type Drawn = (bool, u128, u8);

/// The first and the last address, found bit by bit.
fn range((v4, host, len): Drawn) -> Range {
    let width = if v4 { 32 } else { 128 };
    let (mut first, mut last) = (host, host);
    for bit in 0..width - u32::from(len) {
        first &= !(1 << bit);
        last |= 1 << bit;
    }
    (v4, first, last)
}

fn address(v4: bool, number: u128) -> IpAddr {
    if v4 {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
    } else {
        Ipv6Addr::from_bits(number).into()
    }
}

const MAPPED: u128 = 0xffff << 32;

fn is_mapped(number: u128) -> bool {
    number >> 32 == 0xffff
}

fn network(drawn: Drawn) -> Network {
    let (v4, first, _) = range(drawn);
    Network::new(address(v4, first), drawn.2).unwrap()
}

/// Addresses near each other, so that networks meet: few free bits at the top, the middle or the end.
fn hosts() -> impl Strategy<Value = (bool, u128)> {
    let v4 = (0u128..16, prop_oneof![Just(0), Just(12), Just(28)])
        .prop_map(|(n, shift)| (true, n << shift));
    let beside_mapped = prop_oneof![Just(0xfffe), Just(0xfffc), Just(0x1_0000)]
        .prop_map(|n: u128| (false, n << 32));
    let v6 = (0u128..16, prop_oneof![Just(0), Just(30), Just(44), Just(62), Just(124)])
        .prop_map(|(n, shift)| (false, n << shift));
    prop_oneof![
        v4,
        v6,
        beside_mapped,
        any::<u32>().prop_map(|n| (true, n.into())),
        any::<u128>().prop_map(|n| (false, n))
    ]
    .prop_filter("a mapped address is IPv4", |(v4, n)| *v4 || !is_mapped(*n))
}

fn networks() -> impl Strategy<Value = Drawn> {
    let near = prop_oneof![0u8..8, 28u8..=32, 64u8..72, 80u8..100, 124u8..=128];
    (hosts(), near)
        .prop_map(|((v4, host), len)| (v4, host, if v4 { len % 33 } else { len }))
        .prop_filter("the lowest address must not be mapped", |drawn| {
            let (v4, first, _) = range(*drawn);
            v4 || !is_mapped(first)
        })
}

/// Splits the last half of a network this many times, and leaves out the first part if told so.
fn split(whole: Drawn, cuts: u8, drop_first: bool) -> Vec<Drawn> {
    let mut parts = vec![whole];
    for _ in 0..cuts {
        let Some((v4, host, len)) = parts.pop_if(|(v4, _, len)| *len < if *v4 { 32 } else { 128 })
        else {
            break;
        };
        let (_, first, _) = range((v4, host, len));
        let half = 1 << (if v4 { 32 } else { 128 } - len - 1);
        parts.extend([(v4, first, len + 1), (v4, first | half, len + 1)]);
    }
    if drop_first && parts.len() > 1 {
        parts.remove(0);
    }
    // The mapped part of an IPv6 network is not an IPv6 network.
    parts.retain(|part| part.0 || !is_mapped(range(*part).1));
    parts
}

/// Two sets, of which parts cover the same addresses.
fn pairs() -> impl Strategy<Value = (Vec<Drawn>, Vec<Drawn>)> {
    let cuts = || (0u8..4, prop::bool::weighted(0.2));
    vec((networks(), cuts(), cuts(), 0u8..8), 1..4)
        .prop_map(|drawn| {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            for (whole, left_cuts, right_cuts, place) in drawn {
                if place != 0 {
                    left.extend(split(whole, left_cuts.0, left_cuts.1));
                }
                if place != 1 {
                    right.extend(split(whole, right_cuts.0, right_cuts.1));
                }
            }
            (left, right)
        })
        .prop_filter("not empty", |(left, right)| !left.is_empty() && !right.is_empty())
}

fn sets() -> impl Strategy<Value = Vec<Drawn>> {
    pairs().prop_map(|(set, _)| set)
}

fn set_of(drawn: &[Drawn]) -> NetworkSet {
    NetworkSet::new(drawn.iter().copied().map(network)).unwrap()
}

/// The ranges joined with their neighbours, IPv4 and IPv6 separate. With the mapped addresses, which no
/// IPv6 network permits, networks on both sides of them are neighbours.
fn joined(drawn: &[Drawn], with_mapped: bool) -> Vec<Range> {
    let mut joined: Vec<Range> = Vec::new();
    let mapped = with_mapped.then_some((false, MAPPED, MAPPED | u128::from(u32::MAX)));
    for (v4, first, last) in drawn.iter().copied().map(range).chain(mapped).collect::<BTreeSet<_>>()
    {
        match joined.last_mut() {
            Some((family, _, end)) if *family == v4 && first <= end.saturating_add(1) => {
                *end = last.max(*end)
            }
            _ => joined.push((v4, first, last)),
        }
    }
    joined
}

fn permits(ranges: &[Range], v4: bool, number: u128) -> bool {
    ranges.iter().any(|(family, first, last)| *family == v4 && (*first..=*last).contains(&number))
}

proptest! {
    #[test]
    fn permits_agrees_with_ranges(drawn in sets(), host in hosts()) {
        let (set, ranges) = (set_of(&drawn), joined(&drawn, false));
        let mut probes = vec![host];
        for (v4, first, last) in drawn.iter().copied().map(range) {
            let highest = if v4 { u32::MAX.into() } else { u128::MAX };
            probes.extend([(v4, first), (v4, last), (v4, first.saturating_sub(1))]);
            probes.push((v4, last.saturating_add(1).min(highest)));
            // The same number in the other family.
            probes.extend(u32::try_from(first).map(|_| (!v4, first)));
        }
        for (v4, number) in probes {
            let expected = if !v4 && is_mapped(number) {
                permits(&ranges, true, number ^ MAPPED)
            } else {
                permits(&ranges, v4, number)
            };
            prop_assert_eq!(set.permits(address(v4, number)), expected, "{} {}", set, address(v4, number));
            if v4 {
                prop_assert_eq!(set.permits(address(false, MAPPED | number)), expected);
            }
        }
    }

    #[test]
    fn contains_agrees_with_ranges((own, other) in pairs()) {
        let (wide, narrow) = (joined(&own, true), joined(&other, false));
        let within = |(v4, first, last): &Range| {
            wide.iter().any(|(family, from, to)| family == v4 && from <= first && last <= to)
        };
        prop_assert_eq!(set_of(&own).contains(&set_of(&other)), narrow.iter().all(within), "{:?} {:?}", set_of(&own), set_of(&other));

        let both = [own.clone(), other].concat();
        prop_assert!(set_of(&both).contains(&set_of(&own)));
        prop_assert_eq!(set_of(&own).contains(&set_of(&both)), joined(&both, false).iter().all(within));
    }

    #[test]
    fn text_and_bytes_round_trip(drawn in sets()) {
        let set = set_of(&drawn);
        let reversed = NetworkSet::new(drawn.iter().rev().copied().map(network)).unwrap();
        prop_assert_eq!(&reversed, &set);
        prop_assert_eq!(NetworkSet::parse(set.to_string().split(' ')), Ok(set.clone()));
        prop_assert_eq!(NetworkSet::from_bytes(set.as_bytes()), Ok(set.clone()));
        let different: BTreeSet<(Range, u8)> = drawn.iter().map(|drawn| (range(*drawn), drawn.2)).collect();
        prop_assert_eq!(set.iter().count(), different.len());
    }

    /// A host bit that is set is refused, and so is a prefix that is longer than the address.
    #[test]
    fn new_accepts_exactly_whole_ranges(drawn in networks(), mapped in any::<bool>()) {
        let (v4, host, len) = drawn;
        let (_, first, _) = range(drawn);
        let (form, more) = if v4 && mapped { (MAPPED, 96) } else { (0, 0) };
        let v4_form = v4 && !mapped;
        let made = Network::new(address(v4_form, form | host), len + more);
        prop_assert_eq!(made, if host == first { Ok(network(drawn)) } else { Err(HostBits) });
        let width = if v4_form { 32 } else { 128 };
        prop_assert_eq!(Network::new(address(v4_form, form | host), width + 1), Err(PrefixLen));
    }

    /// If changed bytes are accepted, they are the bytes of another set.
    #[test]
    fn changed_bytes_are_refused_or_canonical(
        drawn in sets(), place in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()
    ) {
        let set = set_of(&drawn);
        let mut bytes = set.as_bytes().to_vec();
        if cut {
            bytes.truncate(place.index(bytes.len()));
        } else {
            bytes[place.index(set.as_bytes().len())] ^= 1 << bit;
        }
        if let Ok(other) = NetworkSet::from_bytes(&bytes) {
            prop_assert_ne!(&other, &set);
            prop_assert_eq!(other.as_bytes(), &bytes[..]);
            let remade = NetworkSet::new(other.iter());
            prop_assert_eq!(remade, Ok(other.clone()));
            for network in &other {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
            }
        }
    }

    /// Bytes in another order, with an entry twice, or without a whole last entry are refused.
    #[test]
    fn reordered_bytes_are_refused(drawn in sets(), place in any::<prop::sample::Index>()) {
        let entries: Vec<Vec<u8>> =
            set_of(&drawn).iter().map(|network| NetworkSet::new([network]).unwrap().as_bytes().to_vec()).collect();
        let place = place.index(entries.len());
        let mut twice = entries.clone();
        twice.insert(place, entries[place].clone());
        prop_assert!(NetworkSet::from_bytes(&twice.concat()).is_err());
        if place > 0 {
            let mut swapped = entries.clone();
            swapped.swap(place, place - 1);
            prop_assert!(NetworkSet::from_bytes(&swapped.concat()).is_err());
        }
        let end = [entries.concat(), entries[place][..entries[place].len() - 1].to_vec()].concat();
        prop_assert!(NetworkSet::from_bytes(&end).is_err());
    }
}
