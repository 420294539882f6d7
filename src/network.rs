//! Client networks, from which a token may be used.
//!
//! A [`Network`] is a block of IPv4 or IPv6 addresses, such as `10.0.0.0/8`. A [`NetworkSet`] is the
//! networks of one token. The manual explains the rules in
//! [scopes and types](crate::manual::scopes_and_types#networks).

mod set;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use set::{InvalidNetworks, NetworkSet, Networks};
// Records read their stored networks through it.
pub(crate) use set::NetworksRef;

/// The maximum number of networks in one set.
pub const MAX_NETWORKS: usize = 32;

/// The number of leading bits that all IPv4-mapped IPv6 addresses have in common (RFC 4291 §2.5.5.2).
const MAPPED_PREFIX_LEN: u8 = 96;

/// A block of addresses that begin with the same bits, such as `10.0.0.0/8` or `2001:db8::/32`.
///
/// IPv4-mapped IPv6 becomes IPv4: `::ffff:10.0.0.0/104` is the network `10.0.0.0/8`, and the address
/// `::ffff:10.1.2.3` is the address `10.1.2.3`. Any other IPv6 network contains only IPv6 addresses, so
/// `::/0` contains no IPv4 address and no mapped one.
///
/// The text is the lowest address, `/` and the prefix length. Networks are ordered by family with IPv4
/// first, then by address, then by prefix length.
///
/// ```
/// use service_tokens::network::Network;
///
/// let office: Network = "192.0.2.0/24".parse()?;
/// assert!(office.contains("192.0.2.7".parse()?));
/// assert!(office.contains("::ffff:192.0.2.7".parse()?));
/// assert!(!office.contains("192.0.3.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

impl Network {
    /// Creates the network of all addresses whose first `prefix_len` bits are those of `address`.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork::PrefixLen`] if the prefix is longer than the address, which has 32 bits for
    /// IPv4 and 128 bits for IPv6. [`InvalidNetwork::HostBits`] if a bit of the address after the
    /// prefix is set, because such a text is often a typing error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use service_tokens::network::{InvalidNetwork, Network};
    ///
    /// let network = Network::new(Ipv4Addr::new(10, 0, 0, 0), 8)?;
    /// assert_eq!(network.to_string(), "10.0.0.0/8");
    ///
    /// let refused = Network::new(Ipv4Addr::new(10, 0, 0, 1), 8);
    /// assert_eq!(refused, Err(InvalidNetwork::HostBits));
    /// # Ok::<(), InvalidNetwork>(())
    /// ```
    pub fn new(address: impl Into<IpAddr>, prefix_len: u8) -> Result<Self, InvalidNetwork> {
        let address = address.into();
        if prefix_len > bits_of(address) {
            return Err(InvalidNetwork::PrefixLen);
        }
        let canonical = address.to_canonical();
        let network = if canonical == address {
            Self { address, prefix_len }
        } else {
            // The last bit of the mapped prefix is set, so with a shorter prefix it is a host bit.
            let prefix_len =
                prefix_len.checked_sub(MAPPED_PREFIX_LEN).ok_or(InvalidNetwork::HostBits)?;
            Self { address: canonical, prefix_len }
        };
        if network.bits() & network.host_mask() != 0 {
            return Err(InvalidNetwork::HostBits);
        }
        Ok(network)
    }

    /// Returns the lowest address of the network.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns the number of leading bits that all addresses of the network have in common, which is
    /// at most 32 for IPv4 and 128 for IPv6.
    pub fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// Returns whether the address is in the network.
    ///
    /// An IPv4-mapped IPv6 address is treated as the IPv4 address that it contains.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::network::Network;
    ///
    /// let all_ipv6: Network = "::/0".parse()?;
    /// assert!(all_ipv6.contains("2001:db8::1".parse()?));
    /// assert!(!all_ipv6.contains("192.0.2.7".parse()?));
    /// assert!(!all_ipv6.contains("::ffff:192.0.2.7".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix_len.into()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix_len.into()
            }
            _ => false,
        }
    }

    /// Returns the lowest address as a number.
    fn bits(self) -> u128 {
        match self.address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    /// Returns a number with those bits set that differ between the addresses of the network.
    fn host_mask(self) -> u128 {
        let host_bits = bits_of(self.address).saturating_sub(self.prefix_len);
        // A shift by the width of the number overflows, and `::/0` has that many host bits.
        1_u128.checked_shl(host_bits.into()).map_or(u128::MAX, |next| next - 1)
    }

    /// Returns the lowest and the highest address as numbers.
    fn range(self) -> (u128, u128) {
        (self.bits(), self.bits() | self.host_mask())
    }
}

/// Returns the number of bits of an address.
fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl From<IpAddr> for Network {
    /// Creates the network of this one address.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_len: bits_of(address) }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// Parses an address, `/` and a prefix length. An address alone is the network of that address.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork::Form`] if the address is not valid: an IPv6 address with a zone (`fe80::1%eth0`)
    /// and an IPv4 address with a leading zero in a part are not. The others as for [`Network::new`].
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Form)?;
        match prefix_len {
            Some(prefix_len) => Self::new(address, parse_prefix_len(prefix_len)?),
            None => Ok(address.into()),
        }
    }
}

/// Parses digits without a sign and without a leading zero. `u8::from_str` alone accepts both.
fn parse_prefix_len(text: &str) -> Result<u8, InvalidNetwork> {
    let padded = text.len() > 1 && text.starts_with('0');
    if padded || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidNetwork::PrefixLen);
    }
    text.parse().map_err(|_| InvalidNetwork::PrefixLen)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The error returned for a text that is not a valid network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNetwork {
    /// The text does not begin with a valid IPv4 or IPv6 address.
    #[error("a network must be an IPv4 or IPv6 address, or an address, / and a prefix length")]
    Form,
    /// The prefix length is not a number, has a sign or a leading zero, or is longer than the address.
    #[error(
        "a prefix length must be a number from 0 to 32 (IPv4) or 128 (IPv6) without a leading zero"
    )]
    PrefixLen,
    /// A bit of the address after the prefix is set, as in `10.0.0.1/8`.
    #[error("the address of a network must have only zero bits after the prefix")]
    HostBits,
}

#[cfg(test)]
mod tests;
