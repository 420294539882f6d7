//! The networks and the metadata of a record.

use std::collections::BTreeMap;

use super::tlv::{Reader, Writer};
use crate::network::{NetworkSet, NetworksRef};

/// The networks and the metadata of a record, in the bytes of its encoding.
///
/// A verified token contains both. In one block of bytes they cost it one allocation and one copy. Sharing
/// them by a reference count would make all cores write to one place.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Details {
    /// The encoded networks, followed by the encoded metadata.
    bytes: Box<[u8]>,
    networks_len: u16,
}

impl Details {
    /// Returns the details, or `None` if there are neither networks nor metadata.
    pub(crate) fn new(
        networks: Option<&NetworkSet>,
        metadata: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let mut entries = Writer::with_capacity(0);
        for text in metadata.iter().flat_map(|(key, value)| [key, value]) {
            entries.counted(text.as_bytes());
        }
        Self::of_encoded(networks.map_or(&[], NetworkSet::as_bytes), &entries.into_content())
    }

    /// Returns a copy. It is out of line, so that a verification of a token without details does not pay for
    /// the allocation that it does not make.
    #[cold]
    #[inline(never)]
    pub(crate) fn copy(&self) -> Option<Self> {
        Some(self.clone())
    }

    /// Returns the details with these bytes, which were checked before.
    pub(super) fn of_encoded(networks: &[u8], metadata: &[u8]) -> Option<Self> {
        let networks_len = u16::try_from(networks.len()).ok()?;
        let bytes = [networks, metadata].concat().into_boxed_slice();
        (!bytes.is_empty()).then_some(Self { bytes, networks_len })
    }

    /// Returns the encoded networks, which are empty if the use of the token is not restricted to networks.
    #[inline]
    pub(super) fn network_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.networks_len)).unwrap_or_default()
    }

    pub(super) fn metadata_bytes(&self) -> &[u8] {
        self.bytes.get(usize::from(self.networks_len)..).unwrap_or_default()
    }

    /// Returns the networks to which the use of the token is restricted, if it is.
    #[inline]
    pub(crate) fn networks(&self) -> Option<NetworksRef<'_>> {
        let bytes = self.network_bytes();
        (!bytes.is_empty()).then(|| NetworksRef::from_canonical(bytes))
    }

    /// Returns the networks. Without details, or if the use of the token is not restricted, there is no
    /// network in them.
    pub(crate) fn networks_of(details: Option<&Self>) -> NetworksRef<'_> {
        details.and_then(Self::networks).unwrap_or(NetworksRef::from_canonical(&[]))
    }

    /// Returns whether every address that a token with the details `other` is accepted from is one of a
    /// token with the details `own`.
    pub(crate) fn covers_networks(own: Option<&Self>, other: Option<&Self>) -> bool {
        match (own.and_then(Self::networks), other.and_then(Self::networks)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own.contains(other),
        }
    }

    /// Returns the metadata, sorted by key.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut reader = Reader::new(self.metadata_bytes());
        std::iter::from_fn(move || Some((reader.counted_text().ok()?, reader.counted_text().ok()?)))
    }
}
