//! Where TLS records end, learnt from their headers as they pass.

/// What stands before the content of a record: type, version and length (RFC 8446 section 5.1).
const HEADER_BYTES: usize = 5;

/// Small records are passed on together until they are this long.
const TOGETHER_BYTES: usize = 4 << 10;

/// Follows the records that one side of a connection sends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecordBoundaries {
    /// Bytes of the current record that are still to come.
    missing: usize,
    /// The header of the next record, as far as it has passed.
    header: [u8; HEADER_BYTES],
    passed: usize,
}

impl RecordBoundaries {
    /// How many of `bytes`, which are the next ones, to pass on at once: one large record or some small ones, and the
    /// header that follows.
    pub(crate) fn portion(mut self, bytes: &[u8]) -> usize {
        if bytes.len() <= TOGETHER_BYTES {
            return bytes.len();
        }
        let mut portion = 0;
        while portion < TOGETHER_BYTES {
            portion += self.step(bytes.get(portion..).unwrap_or_default());
        }
        portion
    }

    /// `bytes` have been passed on. False if they are from the middle of one record, of which nothing can be told yet.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut tells = false;
        while !bytes.is_empty() {
            let missing = self.missing;
            let step = self.step(bytes);
            tells |= step >= missing;
            bytes = bytes.get(step..).unwrap_or_default();
        }
        tells
    }

    /// Passes the current record and the header that follows, as far as `bytes` have them, and returns how much that
    /// is: at least one byte, unless there is none.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let content = self.missing.min(bytes.len());
        self.missing -= content;
        if self.missing > 0 {
            return content;
        }
        let header = bytes.get(content..).unwrap_or_default();
        let room = self.header.get_mut(self.passed..).unwrap_or_default();
        let known = room.len().min(header.len());
        room.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
        self.passed += known;
        if self.passed == HEADER_BYTES {
            let [.., high, low] = self.header;
            (self.missing, self.passed) = (u16::from_be_bytes([high, low]).into(), 0);
        }
        content + known
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, RecordBoundaries, TOGETHER_BYTES};

    /// Records with contents of these lengths.
    fn records(lengths: &[u16]) -> Vec<u8> {
        let record = |length: &u16| {
            let mut record = vec![23, 3, 3];
            record.extend(length.to_be_bytes());
            record.resize(HEADER_BYTES + usize::from(*length), 7);
            record
        };
        lengths.iter().flat_map(record).collect()
    }

    #[test]
    fn a_large_record_is_passed_on_with_the_header_of_the_next() {
        let mut bytes = records(&[16_401, 16_401, 9]);
        let mut boundaries = RecordBoundaries::default();
        for expected in [2 * HEADER_BYTES + 16_401, 16_401 + HEADER_BYTES, 9] {
            assert_eq!(boundaries.portion(&bytes), expected);
            boundaries.pass(&bytes.drain(..expected).collect::<Vec<u8>>());
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn small_records_are_passed_on_together() {
        let bytes = records(&[95; 100]);
        let portion = RecordBoundaries::default().portion(&bytes);
        assert!(portion >= TOGETHER_BYTES && portion % 100 == HEADER_BYTES, "{portion}");
    }

    #[test]
    fn the_middle_of_a_record_tells_nothing_but_its_header_and_its_end_do() {
        let bytes = records(&[300]);
        let mut boundaries = RecordBoundaries::default();
        let tells = [0..3, 3..5, 5..6, 6..304, 304..305].map(|part| boundaries.pass(&bytes[part]));
        assert_eq!(tells, [true, true, false, false, true]);
    }

    #[test]
    fn boundaries_do_not_depend_on_the_pieces_in_which_bytes_pass() {
        let (before, large) = (records(&[3, 0, 300, 1]), records(&[16_401, 50]));
        for piece in 1..=before.len() {
            let mut boundaries = RecordBoundaries::default();
            before.chunks(piece).for_each(|bytes| _ = boundaries.pass(bytes));
            assert_eq!(boundaries.portion(&large), 2 * HEADER_BYTES + 16_401, "{piece}");
        }
    }
}
