//! Normalizes a password, so that it matches however a client has encoded it.
//!
//! In: bytes as they were sent. Out: composed letters in UTF-8, which is what `charset="UTF-8"` in a challenge
//! promises to compare (RFC 7617 section 2.1).
//! NFD becomes NFC, and NFC is left as it is: this needs only the composition of Unicode Standard Annex 15.
//! The decomposition before it, for text in neither form, would cost 44 kB of tables.

use unicode_normalization::char::{canonical_combining_class, compose};
use zeroize::Zeroizing;

/// The form of a password that is hashed. Bytes that are not UTF-8 are read as ISO-8859-1, the encoding of
/// clients that know no other (RFC 7617 appendix B.2).
pub(crate) fn spelling(sent: &[u8]) -> Zeroizing<String> {
    match std::str::from_utf8(sent) {
        Ok(text) if text.is_ascii() => Zeroizing::new(text.to_owned()),
        Ok(text) => composed(text.chars(), sent.len()),
        Err(_) => composed(sent.iter().copied().map(char::from), sent.len()),
    }
}

/// Composes each mark with its letter, if Unicode has that letter and no mark of the same class is between.
fn composed(letters: impl Iterator<Item = char>, count: usize) -> Zeroizing<String> {
    // Neither grows, because that would leave a copy of the secret behind.
    let mut whole = Zeroizing::new(Vec::with_capacity(count));
    let mut spelling = Zeroizing::new(String::with_capacity(count * 2));
    let (mut starter, mut class_before) = (None, 0);
    for letter in letters {
        let class = canonical_combining_class(letter);
        let is_near = |at: &usize| at + 1 == whole.len() || class_before < class;
        let base = starter.filter(is_near).and_then(|at| whole.get_mut(at));
        let both = base.as_deref().and_then(|base| compose(*base, letter));
        if let (Some(base), Some(both)) = (base, both) {
            *base = both;
            continue;
        }
        if class == 0 {
            starter = Some(whole.len());
        }
        class_before = class;
        whole.push(letter);
    }
    spelling.extend(whole.iter());
    spelling
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization as _;

    use super::spelling;

    #[track_caller]
    fn is_spelt_as_nfc(text: &str) {
        let (nfc, nfd): (String, String) = (text.nfc().collect(), text.nfd().collect());
        assert_eq!(*spelling(nfd.as_bytes()), nfc, "{text:?}");
        assert_eq!(*spelling(nfc.as_bytes()), nfc, "{text:?}");
    }

    #[test]
    fn every_letter_has_one_spelling_in_both_normal_forms() {
        ('\0'..=char::MAX).for_each(|letter| is_spelt_as_nfc(letter.encode_utf8(&mut [0; 4])));
    }

    #[test]
    fn so_has_every_letter_with_marks() {
        // Of several kinds, below and above, some of which go on top of each other.
        let marks = [
            '\u{300}', '\u{302}', '\u{304}', '\u{308}', '\u{315}', '\u{323}', '\u{327}', '\u{5ae}',
        ];
        let mut letters = vec!['\u{1112}', '\u{1161}', '\u{11ab}', '-', '\u{9c7}', '\u{9be}'];
        letters.extend('A'..='z');
        letters.extend('\u{c0}'..='\u{24f}');
        for letter in letters {
            for first in marks {
                for second in marks {
                    is_spelt_as_nfc(
                        &[letter, first, second, 'u', second].iter().collect::<String>(),
                    );
                    is_spelt_as_nfc(&[first, letter, second, letter].iter().collect::<String>());
                }
            }
        }
        is_spelt_as_nfc("\u{1112}\u{1161}\u{11ab}");
    }

    #[test]
    fn what_is_not_utf8_is_latin1() {
        assert_eq!(*spelling(b"gr\xfcn \xe9"), "gr\u{fc}n \u{e9}");
        assert_eq!(*spelling(b"\xc3\xbc\xff"), "\u{c3}\u{bc}\u{ff}");
    }
}
