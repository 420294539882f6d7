//! The networks of one token, and their canonical bytes.
//!
//! The bytes of a set are the entries of its networks without a separator. An entry is one byte for the
//! family (4 or 6), the 4 or 16 bytes of the lowest address, and one byte for the prefix length. So the
//! order of entries as bytes is the order of the networks. Entries are in ascending order without
//! duplicates, so equal sets have equal bytes, and a record compares and reads them in place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::{InvalidNetwork, MAX_NETWORKS, Network};

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// The IPv4-mapped IPv6 addresses as numbers, `::ffff:0:0/96`.
const MAPPED: RangeInclusive<u128> = 0xffff_0000_0000..=0xffff_ffff_ffff;

/// A sorted set of 1 to [`MAX_NETWORKS`] networks without duplicates.
///
/// A set is never empty, because a token without networks may be used from every address, and an empty
/// set would mean the opposite. The text of a set has single spaces between the networks.
///
/// ```
/// use service_tokens::network::NetworkSet;
///
/// let set = NetworkSet::parse(["192.0.2.0/24", "10.0.0.0/8", "10.0.0.0/8"])?;
/// assert_eq!(set.to_string(), "10.0.0.0/8 192.0.2.0/24");
/// assert!(set.permits("10.1.2.3".parse()?));
/// assert!(!set.permits("192.0.3.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NetworkSet(Box<[u8]>);

impl NetworkSet {
    /// Creates a set of these networks. Their order does not matter, and duplicates count once.
    ///
    /// # Errors
    ///
    /// [`InvalidNetworks::Empty`] without a network, and [`InvalidNetworks::TooMany`] if there are more
    /// than [`MAX_NETWORKS`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv6Addr;
    /// use service_tokens::network::{InvalidNetworks, Network, NetworkSet};
    ///
    /// let set = NetworkSet::new([Network::new(Ipv6Addr::UNSPECIFIED, 0)?])?;
    /// assert_eq!(set.to_string(), "::/0");
    /// assert_eq!(NetworkSet::new([]), Err(InvalidNetworks::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Result<Self, InvalidNetworks> {
        Self::try_new(networks.into_iter().map(Ok))
    }

    /// Creates a set of networks from their texts.
    ///
    /// # Errors
    ///
    /// [`InvalidNetworks::Entry`] for the first text that is not a valid network. The others as for
    /// [`NetworkSet::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::network::{InvalidNetwork, InvalidNetworks, NetworkSet};
    ///
    /// let refused = NetworkSet::parse(["10.0.0.0/8", "192.0.2.7/24"]).unwrap_err();
    /// let expected = InvalidNetworks::Entry { index: 1, source: InvalidNetwork::HostBits };
    /// assert_eq!(refused, expected);
    /// ```
    pub fn parse<I>(texts: I) -> Result<Self, InvalidNetworks>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::try_new(texts.into_iter().enumerate().map(|(index, text)| {
            text.as_ref().parse().map_err(|source| InvalidNetworks::Entry { index, source })
        }))
    }

    fn try_new(
        networks: impl Iterator<Item = Result<Network, InvalidNetworks>>,
    ) -> Result<Self, InvalidNetworks> {
        let mut sorted: Vec<Network> = Vec::new();
        for network in networks {
            let network = network?;
            if let Err(place) = sorted.binary_search(&network) {
                if sorted.len() == MAX_NETWORKS {
                    return Err(InvalidNetworks::TooMany { max: MAX_NETWORKS });
                }
                sorted.insert(place, network);
            }
        }
        if sorted.is_empty() {
            return Err(InvalidNetworks::Empty);
        }
        let mut bytes = Vec::new();
        for network in sorted {
            match network.address {
                IpAddr::V4(address) => {
                    bytes.push(IPV4);
                    bytes.extend_from_slice(&address.octets());
                }
                IpAddr::V6(address) => {
                    bytes.push(IPV6);
                    bytes.extend_from_slice(&address.octets());
                }
            }
            bytes.push(network.prefix_len);
        }
        Ok(Self(bytes.into()))
    }

    /// Returns the networks in their order.
    pub fn iter(&self) -> Networks<'_> {
        self.borrowed().iter()
    }

    /// Returns whether the address is in one of the networks.
    ///
    /// An IPv4-mapped IPv6 address is treated as the IPv4 address that it contains.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::network::NetworkSet;
    ///
    /// let set = NetworkSet::parse(["10.0.0.0/8", "2001:db8::/32"])?;
    /// assert!(set.permits("2001:db8::7".parse()?));
    /// assert!(set.permits("::ffff:10.1.2.3".parse()?));
    /// assert!(!set.permits("192.0.2.7".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn permits(&self, address: IpAddr) -> bool {
        self.borrowed().permits(address)
    }

    /// Returns whether this set permits every address that the set `other` permits.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::network::NetworkSet;
    ///
    /// let whole = NetworkSet::parse(["10.0.0.0/8"])?;
    /// let halves = NetworkSet::parse(["10.0.0.0/9", "10.128.0.0/9"])?;
    /// let office = NetworkSet::parse(["10.1.0.0/16"])?;
    /// assert!(whole.contains(&office) && !office.contains(&whole));
    /// assert!(whole.contains(&halves) && halves.contains(&whole));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains(&self, other: &NetworkSet) -> bool {
        self.borrowed().contains(other.borrowed())
    }

    /// Returns the canonical bytes, which [`NetworkSet::from_bytes`] reads.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the bytes that [`NetworkSet::as_bytes`] returned, and refuses all other bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        NetworksRef::from_bytes(bytes).map(NetworksRef::to_set)
    }

    /// Returns the set in its borrowed form.
    pub(crate) fn borrowed(&self) -> NetworksRef<'_> {
        NetworksRef(&self.0)
    }
}

impl fmt::Display for NetworkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{network}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NetworkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkSet({self})")
    }
}

impl<'n> IntoIterator for &'n NetworkSet {
    type Item = Network;
    type IntoIter = Networks<'n>;

    fn into_iter(self) -> Networks<'n> {
        self.iter()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for NetworkSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for NetworkSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let networks = Vec::<Network>::deserialize(deserializer)?;
        Self::new(networks).map_err(serde::de::Error::custom)
    }
}

/// The canonical bytes of a [`NetworkSet`], borrowed. Its operations do not allocate.
///
/// `permits` and `contains` stop at a malformed entry and return `false`, so bytes that were not checked
/// do not widen a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetworksRef<'b>(&'b [u8]);

impl<'b> NetworksRef<'b> {
    /// Reads the bytes of a set, and refuses bytes that no set has.
    pub(crate) fn from_bytes(bytes: &'b [u8]) -> Result<Self, &'static str> {
        let mut previous: &[u8] = &[];
        let mut rest = bytes;
        let mut count = 0;
        while !rest.is_empty() {
            let (network, after) = split_entry(rest).ok_or("a network is malformed")?;
            if Network::new(network.address, network.prefix_len) != Ok(network) {
                return Err("a network is not canonical");
            }
            let (entry, _) = rest.split_at(rest.len() - after.len());
            if entry <= previous {
                return Err("networks are not in ascending order");
            }
            count += 1;
            (previous, rest) = (entry, after);
        }
        match count {
            0 => Err("a set of networks is empty"),
            1..=MAX_NETWORKS => Ok(Self(bytes)),
            _ => Err("a set has too many networks"),
        }
    }

    /// Borrows the bytes of a set that [`NetworksRef::from_bytes`] has checked before.
    pub(crate) fn from_canonical(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the networks in their order.
    pub(crate) fn iter(self) -> Networks<'b> {
        Networks(self.0)
    }

    /// Returns whether the address is in one of the networks.
    #[inline]
    pub(crate) fn permits(self, address: IpAddr) -> bool {
        let mut rest = self.0;
        match address.to_canonical() {
            IpAddr::V4(address) => {
                while let Some((network, prefix_len, after)) = split_ipv4(rest) {
                    if (network ^ address.to_bits()).leading_zeros() >= prefix_len.into() {
                        return true;
                    }
                    rest = after;
                }
            }
            IpAddr::V6(address) => {
                while let Some((.., after)) = split_ipv4(rest) {
                    rest = after;
                }
                while let Some((network, prefix_len, after)) = split_ipv6(rest) {
                    if (network ^ address.to_bits()).leading_zeros() >= prefix_len.into() {
                        return true;
                    }
                    rest = after;
                }
            }
        }
        false
    }

    /// Returns whether this set permits every address that the set `other` permits.
    pub(crate) fn contains(self, other: NetworksRef<'_>) -> bool {
        let mut networks = other.iter();
        let contained = networks.by_ref().all(|network| self.contains_network(network));
        contained && !other.0.is_empty() && networks.0.is_empty()
    }

    /// Returns whether the networks together contain all addresses of this network.
    ///
    /// They are in ascending order of their lowest addresses. So one pass moves the lowest address that
    /// is not yet found (`next`) upwards, until it passes the network's highest address or meets a gap.
    /// The mapped addresses are not a gap between IPv6 networks, because they are IPv4.
    fn contains_network(self, wanted: Network) -> bool {
        let (mut next, highest) = wanted.range();
        let is_ipv4 = wanted.address.is_ipv4();
        let same_family = |network: &Network| network.address.is_ipv4() == is_ipv4;
        for (from, to) in self.iter().filter(same_family).map(Network::range) {
            if from > next {
                return false;
            }
            if to >= highest {
                return true;
            }
            // It does not overflow, because `to` is below `highest`.
            next = next.max(to + 1);
            if !is_ipv4 && MAPPED.contains(&next) {
                next = MAPPED.end() + 1;
            }
            if next > highest {
                return true;
            }
        }
        false
    }

    /// Returns an owned copy.
    pub(crate) fn to_set(self) -> NetworkSet {
        NetworkSet(self.0.into())
    }
}

/// Splits the first entry from the bytes. Returns `None` if they do not begin with a whole entry.
fn split_entry(bytes: &[u8]) -> Option<(Network, &[u8])> {
    let (address, prefix_len, rest) = if let Some((network, prefix_len, rest)) = split_ipv4(bytes) {
        (Ipv4Addr::from_bits(network).into(), prefix_len, rest)
    } else {
        let (network, prefix_len, rest) = split_ipv6(bytes)?;
        (Ipv6Addr::from_bits(network).into(), prefix_len, rest)
    };
    Some((Network { address, prefix_len }, rest))
}

/// Splits the address and the prefix length of an IPv4 network from the bytes.
#[inline]
fn split_ipv4(bytes: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (&[family, ref octets @ .., prefix_len], rest) = bytes.split_first_chunk::<6>()?;
    (family == IPV4).then_some((u32::from_be_bytes(*octets), prefix_len, rest))
}

/// Splits the address and the prefix length of an IPv6 network from the bytes.
#[inline]
fn split_ipv6(bytes: &[u8]) -> Option<(u128, u8, &[u8])> {
    let (&[family, ref octets @ .., prefix_len], rest) = bytes.split_first_chunk::<18>()?;
    (family == IPV6).then_some((u128::from_be_bytes(*octets), prefix_len, rest))
}

/// An iterator over the networks of a [`NetworkSet`], in ascending order.
#[derive(Clone)]
pub struct Networks<'n>(&'n [u8]);

impl Iterator for Networks<'_> {
    type Item = Network;

    fn next(&mut self) -> Option<Network> {
        let (network, rest) = split_entry(self.0)?;
        self.0 = rest;
        Some(network)
    }
}

// A malformed entry stays the first one, so `next` returns `None` again.
impl std::iter::FusedIterator for Networks<'_> {}

impl fmt::Debug for Networks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The error returned for networks that do not form a [`NetworkSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNetworks {
    /// There are no networks.
    #[error("a set must have at least one network")]
    Empty,
    /// There are more than [`MAX_NETWORKS`] networks.
    #[error("a set must not have more than {max} networks")]
    TooMany {
        /// The maximum number of networks.
        max: usize,
    },
    /// A text is not a valid network.
    #[error("the network at index {index} is not valid")]
    Entry {
        /// The index of the text, which starts at 0.
        index: usize,
        /// The rule that the text breaks.
        source: InvalidNetwork,
    },
}
