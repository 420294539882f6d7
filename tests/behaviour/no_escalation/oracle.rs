//! What scopes and networks permit, without the code of the crate: scopes segment by segment, and addresses
//! one by one.

use std::net::IpAddr;
use std::sync::OnceLock;

use super::moves::GRANTS;
use chrono::{DateTime, Utc};
use service_tokens::network::Network;
use service_tokens::{Record, RequestContext, Requirement};

/// The scopes that are required. No grant names `z`.
pub(crate) const REQUIRED: [&str; 19] = [
    "a",
    "a:x",
    "a:z",
    "a:x:z",
    "a:x:z:z",
    "b",
    "b:x",
    "b:z",
    "z",
    "service-tokens",
    "service-tokens:read",
    "service-tokens:issue",
    "service-tokens:rotate",
    "service-tokens:rotate-self",
    "service-tokens:revoke",
    "service-tokens:introspect",
    "service-tokens:amend",
    "service-tokens:suspend",
    "service-tokens:z",
];

/// The networks from which the networks of a token are made.
pub(crate) const NETWORKS: [&str; 16] = [
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.64.0.0/10",
    "192.0.2.0/24",
    "192.0.2.7",
    "127.0.0.1",
    "0.0.0.0/0",
    "::ffff:10.0.0.0/104",
    "::ffff:192.0.2.7",
    "2001:db8::/32",
    "2001:db8::/33",
    "2001:db8:8000::/33",
    "2001:db8::7",
    "::/1",
    "8000::/1",
];

/// The places from which a request may come: without an address, and one address in each region that the
/// networks can distinguish.
pub(crate) const PLACES: [Option<&str>; 15] = [
    None,
    Some("10.0.0.1"),
    Some("10.64.0.1"),
    Some("10.128.0.0"),
    Some("11.0.0.1"),
    Some("127.0.0.1"),
    Some("192.0.2.7"),
    Some("192.0.2.8"),
    Some("::ffff:10.64.0.1"),
    Some("::ffff:192.0.2.7"),
    Some("2001:db8::7"),
    Some("2001:db8::8"),
    Some("2001:db8:8000::1"),
    Some("::a00:1"),
    Some("fe80::1"),
];

/// One bit for each required scope.
pub(crate) type Scopes = u32;

/// One bit for each place.
pub(crate) type Places = u16;

pub(crate) const EVERYWHERE: Places = (1 << PLACES.len()) - 1;

/// Returns whether a grant permits a scope. It compares segments, and only a grant that names the reserved
/// resource permits it.
fn permits(grant: &str, requirement: &str) -> bool {
    let (grant, requirement): (Vec<&str>, Vec<&str>) =
        (grant.split(':').collect(), requirement.split(':').collect());
    match grant.split_last() {
        Some((&"*", [])) => requirement[0] != "service-tokens",
        Some((&"*", start)) => requirement.len() > start.len() && requirement.starts_with(start),
        _ => grant == requirement,
    }
}

/// Returns the required scopes that these grants permit.
pub(crate) fn permitted<'g>(grants: impl Iterator<Item = &'g str>) -> Scopes {
    static BY_GRANT: OnceLock<[Scopes; GRANTS.len()]> = OnceLock::new();
    let by_grant = BY_GRANT.get_or_init(|| {
        GRANTS.map(|grant| {
            let met = REQUIRED.iter().enumerate().filter(|(_, required)| permits(grant, required));
            met.fold(0, |bits, (bit, _)| bits | 1 << bit)
        })
    });
    let at = |grant| GRANTS.iter().position(|known| *known == grant).unwrap();
    grants.fold(0, |bits, grant| bits | by_grant[at(grant)])
}

/// Returns the family of an address and its bits from the left. An address that is mapped into IPv6 is IPv4.
fn bits(address: IpAddr) -> (bool, u128) {
    let mapped = match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().ok_or(address),
    };
    match mapped {
        Ok(address) => (true, u128::from(address.to_bits()) << 96),
        Err(address) => (false, address.to_bits()),
    }
}

/// Returns the places in the networks that begin with these bits.
fn places_within(networks: impl Iterator<Item = ((bool, u128), u32)> + Clone) -> Places {
    static ADDRESSES: OnceLock<Vec<(bool, u128)>> = OnceLock::new();
    let addresses = ADDRESSES.get_or_init(|| {
        PLACES.iter().flatten().map(|address| bits(address.parse().unwrap())).collect()
    });
    let within = |address: &(bool, u128)| {
        networks.clone().any(|(network, prefix_len)| {
            let differing = (network.1 ^ address.1).leading_zeros();
            network.0 == address.0 && differing >= prefix_len
        })
    };
    let inside = addresses.iter().enumerate().filter(|(_, address)| within(address));
    inside.fold(0, |places, (at, _)| places | 1 << (at + 1))
}

/// Returns the places from which a token with these networks is accepted.
pub(crate) fn places(record: &Record) -> Places {
    let networks: Vec<Network> = record.networks().collect();
    if networks.is_empty() { EVERYWHERE } else { places_of(&networks) }
}

/// Returns the places in these networks.
pub(crate) fn places_of(networks: &[Network]) -> Places {
    places_within(
        networks.iter().map(|network| (bits(network.address()), network.prefix_len().into())),
    )
}

/// Returns the places in these of the [`NETWORKS`], from their texts.
pub(crate) fn places_in(networks: &[usize]) -> Places {
    places_within(networks.iter().map(|network| {
        let (address, prefix_len) = match NETWORKS[*network].split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len.parse::<u32>().unwrap())),
            None => (NETWORKS[*network], None),
        };
        let address: IpAddr = address.parse().unwrap();
        let bits = bits(address);
        let mapped = if bits.0 && address.is_ipv6() { 96 } else { 0 };
        (bits, prefix_len.map_or(128, |prefix_len| prefix_len - mapped))
    }))
}

pub(crate) fn context(place: usize) -> RequestContext {
    let address = PLACES[place].map(|address| address.parse::<IpAddr>().unwrap());
    RequestContext::new().client_address(address)
}

pub(crate) fn requirements() -> &'static [Requirement] {
    static REQUIREMENTS: OnceLock<Vec<Requirement>> = OnceLock::new();
    REQUIREMENTS
        .get_or_init(|| REQUIRED.iter().map(|scope| Requirement::scope(scope).unwrap()).collect())
}

/// Returns whether the first end is not later than the second one.
pub(crate) fn no_later(end: Option<DateTime<Utc>>, than: Option<DateTime<Utc>>) -> bool {
    match (end, than) {
        (_, None) => true,
        (Some(end), Some(than)) => end <= than,
        (None, Some(_)) => false,
    }
}
