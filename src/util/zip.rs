//! Writes a zip (PKWARE's APPNOTE.TXT 6.3): entries stored as they are, in memory, without zip64.
//!
//! Whoever makes one keeps it below 4 GiB and 65,535 entries.

use super::utc;

/// Version 1.0 is needed; names are UTF-8 (bit 11); stored.
const KIND: [u8; 6] = [10, 0, 0, 8, 0, 0];
/// Made on Unix, so that the mode counts.
const MADE_BY: [u8; 2] = [10, 3];
/// A regular file of mode 0600.
const ATTRIBUTES: u32 = 0o100_600 << 16;

/// A zip that is being made.
pub(crate) struct Zip {
    folder: String,
    /// The time and date of every entry as DOS has them.
    time: [u8; 4],
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Zip {
    /// Everything goes into `folder`; `now` is in seconds since 1970.
    pub(crate) fn new(folder: String, now: i64) -> Zip {
        let time = dos_time(&utc::format(now)).to_le_bytes();
        Zip { folder, time, bytes: Vec::new(), directory: Vec::new(), count: 0 }
    }

    pub(crate) fn add(&mut self, name: &str, contents: &[u8]) {
        let name = format!("{}/{name}", self.folder);
        let (at, size) = (word(self.bytes.len()), word(contents.len()));
        let length = [name.len() as u8, (name.len() >> 8) as u8, 0, 0];
        let crc = crc32(contents).to_le_bytes();
        let common = [&KIND[..], &self.time, &crc, &size, &size, &length].concat();
        self.bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), contents].concat());
        let rest = [&[0; 6][..], &ATTRIBUTES.to_le_bytes(), &at, name.as_bytes()];
        self.directory.extend([b"PK\x01\x02", &MADE_BY[..], &common, &rest.concat()].concat());
        self.count += 1;
    }

    /// The whole file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let (at, size) = (word(self.bytes.len()), word(self.directory.len()));
        let count = self.count.to_le_bytes();
        self.bytes.append(&mut self.directory);
        self.bytes
            .extend([b"PK\x05\x06\0\0\0\0", &count[..], &count, &size, &at, &[0; 2]].concat());
        self.bytes
    }
}

fn word(number: usize) -> [u8; 4] {
    (number as u32).to_le_bytes()
}

/// Of a time as [`utc::format`] writes it.
fn dos_time(text: &str) -> u32 {
    let number = |from: usize, to: usize| {
        text.get(from..to).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0)
    };
    // The years that it can say are 1980 to 2107.
    let year = number(0, 4).clamp(1980, 2107) - 1980;
    let date = (year << 9) | (number(5, 7) << 5) | number(8, 10);
    (date << 16) | (number(11, 13) << 11) | (number(14, 16) << 5) | (number(17, 19) / 2)
}

/// The remainders of four bits.
const REMAINDERS: [u32; 16] = {
    let mut all = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        all[index] = value;
        index += 1;
    }
    all
};

/// CRC-32 as Ethernet has it (APPNOTE 4.4.7).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, bits: u32| crc >> 4 ^ REMAINDERS[((crc ^ bits) & 15) as usize];
    let add = |crc, byte: &u8| step(step(crc, u32::from(*byte)), u32::from(*byte >> 4));
    !bytes.iter().fold(!0, add)
}

#[cfg(test)]
mod tests {
    use super::{crc32, dos_time};

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn times_are_those_of_dos() {
        let seen = dos_time("2026-11-29T21:50:10Z");
        assert_eq!((seen >> 25, seen >> 21 & 15, seen >> 16 & 31), (46, 11, 29));
        assert_eq!((seen >> 11 & 31, seen >> 5 & 63, seen & 31), (21, 50, 5));
        assert_eq!(dos_time("1970-01-01T00:00:00Z"), 0x0021_0000);
    }
}
