//! Ids of requests that were answered already, in eight bytes each.

use crate::license::protocol::hex::RequestId;
use crate::license::protocol::key::{base64url, from_base64url};

/// Ids of requests, the oldest first.
///
/// Eight of the sixteen bytes are kept. Ids are random, and an appliance that chose two alike would only
/// have its own request taken for a repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReplayIds(Vec<[u8; 8]>);

impl ReplayIds {
    pub(crate) fn contains(&self, id: RequestId) -> bool {
        self.0.contains(&short(id))
    }

    /// Remembers `id` and forgets the oldest beyond `most`.
    pub(crate) fn insert(&mut self, id: RequestId, most: usize) {
        self.0.push(short(id));
        if self.0.len() > most {
            self.0.drain(..self.0.len() - most);
        }
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

fn short(id: RequestId) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&id.0[..8]);
    short
}

#[cfg(test)]
mod tests {
    use super::ReplayIds;
    use crate::license::protocol::hex::RequestId;

    #[test]
    fn the_oldest_is_forgotten_and_the_rest_is_read_again() {
        let mut ids = ReplayIds::default();
        for byte in 0..5 {
            ids.insert(RequestId([byte; 16]), 3);
        }
        assert!(!ids.contains(RequestId([1; 16])) && ids.contains(RequestId([2; 16])));
        assert_eq!((ReplayIds::parse(&ids.to_text()), ids.len()), (Some(ids.clone()), 3));
        assert_eq!(ReplayIds::parse("AAAA"), None);
    }
}
