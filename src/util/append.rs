//! Text put together from many small pieces.

/// Longer pieces are left to `memcpy`.
const SHORT: usize = 8;

/// Appends `pieces` to `text`. A head has many of a few bytes each, and musl's `memcpy` takes as long for those as for a
/// hundred bytes.
pub(crate) fn append(text: &mut Vec<u8>, pieces: &[impl AsRef<[u8]>]) {
    for piece in pieces.iter().map(AsRef::as_ref) {
        if piece.len() > SHORT {
            text.extend_from_slice(piece);
        } else {
            piece.iter().for_each(|byte| text.push(*byte));
        }
    }
}
