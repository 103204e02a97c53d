//! bcrypt that yields the CPU between rounds.
//!
//! The bcrypt crate computes a hash in one go. On a machine with one processor, an event loop that has just
//! become ready then waits until the hashing thread's time slice and the kernel's tick are over: four
//! milliseconds, twice in every TLS handshake, for as long as passwords are being guessed. So the loop
//! around the cipher runs here and yields after every half millisecond. Without that, honest clients waited
//! 4.7 times as long during such an attack, measured with one processor, and a lower priority of the thread
//! did not help; with it, and with refused clients going last, 1.0 to 1.4 times.
//! Out: the cipher (the blowfish crate), the rules for a password, the format of a hash.
//!
//! Source: Provos and Mazières, "A Future-Adaptable Password Scheme", 1999.

use std::thread;

use blowfish::Blowfish;
use zeroize::Zeroizing;

/// Rounds between two yields, about half a millisecond.
const ROUNDS_AT_ONCE: usize = 8;

/// Most bytes of a password, with the NUL behind it, that bcrypt uses.
const KEY_BYTES: usize = 72;

/// The text that bcrypt encrypts: "OrpheanBeholderScryDoubt".
const TEXT: [[u32; 2]; 3] =
    [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];

/// The raw hash without its last byte, as a bcrypt line stores it. Takes 2^`cost` rounds, `cost` below 32.
pub(super) fn hash(password: &[u8], cost: u32, salt: [u8; 16]) -> [u8; 23] {
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    key.extend(password.iter().take(KEY_BYTES));
    key.push(0);
    key.truncate(KEY_BYTES);

    let mut cipher = Blowfish::bc_init_state();
    cipher.salted_expand_key(&salt, &key);
    for round in 1..=1_usize << cost {
        cipher.bc_expand_key(&key);
        cipher.bc_expand_key(&salt);
        if round % ROUNDS_AT_ONCE == 0 {
            thread::yield_now();
        }
    }

    let text = TEXT.map(|block| (0..64).fold(block, |block, _| cipher.bc_encrypt(block)));
    let bytes = text.as_flattened().iter().flat_map(|word| word.to_be_bytes());
    let mut hash = [0; 23];
    hash.iter_mut().zip(bytes).for_each(|(at, byte)| *at = byte);
    hash
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::hash;

    #[test]
    fn it_is_the_hash_that_the_crate_computes_in_one_go() {
        let long = [b'x'; 80];
        let passwords =
            [b"".as_slice(), b"admin", b"p\0q", b"\xff\xfe", &long[..71], &long[..72], &long];
        for (number, password) in (0..).zip(passwords) {
            for cost in [4, 5] {
                let salt = [number; 16].map(|byte: u8| byte.wrapping_mul(37) ^ 0x5a);
                let whole = bcrypt::hash_with_salt(password, cost, salt).unwrap().to_string();
                let written = base64::Engine::encode(&bcrypt::BASE_64, hash(password, cost, salt));
                assert_eq!(written, whole[29..], "{password:?} at {cost}");
            }
        }
    }
}
