//! Ids of requests that were answered already, in eight bytes each.

use serde::{Serialize, Serializer};

use crate::license::protocol::hex::RequestId;
use crate::license::protocol::key::{base64url, from_base64url};

/// What stands for an id that is not known any longer.
const FORGOTTEN: [u8; 8] = [0; 8];

/// Ids of requests, the oldest first: eight of the sixteen bytes of each.
///
/// Ids are random, and an appliance that chose two alike would only have its own request taken for a
/// repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReplayIds(Vec<[u8; 8]>);

fn short(id: RequestId) -> [u8; 8] {
    id.0.first_chunk().copied().unwrap_or(FORGOTTEN)
}

impl ReplayIds {
    pub(crate) fn contains(&self, id: RequestId) -> bool {
        self.0.contains(&short(id))
    }

    /// Whether the id may be the one at this place, which may be forgotten.
    pub(crate) fn may_have(&self, at: usize, id: RequestId) -> bool {
        self.0.get(at).is_some_and(|known| *known == short(id) || *known == FORGOTTEN)
    }

    pub(crate) fn push(&mut self, id: RequestId) {
        self.0.push(short(id));
    }

    /// One id.
    pub(crate) fn of(id: RequestId) -> ReplayIds {
        ReplayIds(vec![short(id)])
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

    pub(crate) fn parse(text: &str) -> Option<ReplayIds> {
        let bytes = from_base64url(text)?;
        let (ids, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| ReplayIds(ids.to_vec()))
    }
}

impl Serialize for ReplayIds {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&base64url(self.0.as_flattened()))
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayIds;
    use crate::license::protocol::hex::RequestId;

    #[test]
    fn ids_are_found_by_place_and_read_again() {
        let mut ids = ReplayIds::default();
        (1..6).for_each(|byte| ids.push(RequestId([byte; 16])));
        assert!(ids.contains(RequestId([5; 16])) && !ids.contains(RequestId([6; 16])));
        let third = RequestId([3; 16]);
        assert!(ids.may_have(2, third) && !ids.may_have(1, third) && !ids.may_have(5, third));
        assert!(ReplayIds::forgotten(1).may_have(0, third));
        let text = serde_json::json!(ids);
        assert_eq!((text.as_str().and_then(ReplayIds::parse), ids.len()), (Some(ids), 5));
        assert_eq!(ReplayIds::parse("AAAA"), None);
    }
}
