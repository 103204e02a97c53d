//! Ids of requests that were answered already, in eight bytes each.

use crate::license::protocol::hex::RequestId;
use crate::license::protocol::key::{base64url, from_base64url};

/// Eight of the sixteen bytes of a request's id.
///
/// Ids are random, and an appliance that chose two alike would only have its own request taken for a
/// repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortId([u8; 8]);

/// What stands for an id that is not known any longer.
const FORGOTTEN: [u8; 8] = [0; 8];

impl ShortId {
    /// Whether it stands for an id that is not known any longer.
    pub(crate) fn is_forgotten(self) -> bool {
        self.0 == FORGOTTEN
    }

    pub(crate) fn of(id: RequestId) -> ShortId {
        let mut short = [0; 8];
        short.copy_from_slice(&id.0[..8]);
        ShortId(short)
    }
}

/// Ids of requests, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReplayIds(Vec<[u8; 8]>);

impl ReplayIds {
    pub(crate) fn contains(&self, id: RequestId) -> bool {
        self.0.contains(&ShortId::of(id).0)
    }

    pub(crate) fn get(&self, at: usize) -> Option<ShortId> {
        self.0.get(at).copied().map(ShortId)
    }

    pub(crate) fn push(&mut self, id: RequestId) {
        self.0.push(ShortId::of(id).0);
    }

    /// One id, or none.
    pub(crate) fn of(id: Option<ShortId>) -> ReplayIds {
        ReplayIds(id.iter().map(|id| id.0).collect())
    }

    /// So many ids that are not known any longer.
    pub(crate) fn forgotten(count: usize) -> ReplayIds {
        ReplayIds(vec![FORGOTTEN; count])
    }

    /// These and then those.
    pub(crate) fn with(mut self, those: &ReplayIds) -> ReplayIds {
        self.0.extend(&those.0);
        self
    }

    /// The newest ones.
    pub(crate) fn newest(&self, most: usize) -> ReplayIds {
        ReplayIds(self.0[self.0.len().saturating_sub(most)..].to_vec())
    }

    /// So many at a time.
    pub(crate) fn pages(&self, size: usize) -> impl Iterator<Item = ReplayIds> {
        self.0.chunks(size).map(|page| ReplayIds(page.to_vec()))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn to_text(&self) -> String {
        base64url(self.0.as_flattened())
    }

    pub(crate) fn parse(text: &str) -> Option<ReplayIds> {
        let bytes = from_base64url(text)?;
        let (ids, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| ReplayIds(ids.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::{ReplayIds, ShortId};
    use crate::license::protocol::hex::RequestId;

    #[test]
    fn ids_are_found_by_place_and_read_again() {
        let mut ids = ReplayIds::default();
        (0..5).for_each(|byte| ids.push(RequestId([byte; 16])));
        assert!(ids.contains(RequestId([4; 16])) && !ids.contains(RequestId([5; 16])));
        assert_eq!(ids.get(2), Some(ShortId::of(RequestId([2; 16]))));
        assert_eq!((ReplayIds::parse(&ids.to_text()), ids.len(), ids.get(5)), (Some(ids), 5, None));
        assert_eq!(ReplayIds::parse("AAAA"), None);
    }
}
