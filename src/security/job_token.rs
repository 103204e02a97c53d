//! The token that clients of the speech API present, kept as a salted SHA-256 digest.
//!
//! In: the rules for a new token, the contents of `job-token.json`, the comparison.
//! Out: where a request carries it, and how guesses are counted (the gate).
//!
//! SHA-256 and not bcrypt, because programs make tokens and present them with every request: a stranger who guesses
//! must not take the processor from the speech engine. A short token, which is found by trying if the file is stolen,
//! gets a warning.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::license::protocol::hex;
use crate::util::json;

/// Bytes; a request line with the token in its query and a request head both have room for it.
const LONGEST: usize = 1024;

/// Characters below which a token gets a warning: 16 random ones of base64 are 96 bits.
const SHORT: usize = 16;

/// Incremented when the meaning of the file changes; any other number is rejected.
const VERSION: u64 = 1;

const KEYS: [&str; 3] = ["version", "salt", "sha256"];

/// The state of the job token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobToken {
    /// None is set: speech is open to whoever reaches it.
    Unset,
    /// The file is damaged: no token is accepted until one is set again or removed.
    Locked,
    /// A token is set.
    Set(JobTokenHash),
}

impl JobToken {
    /// One word for a status line: `set`, `unset` or `locked`.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            JobToken::Unset => "unset",
            JobToken::Locked => "locked",
            JobToken::Set(_) => "set",
        }
    }

    /// Compares a token, in constant time.
    pub(crate) fn matches(&self, token: &[u8]) -> bool {
        matches!(self, JobToken::Set(hash) if hash.matches(token))
    }
}

/// The digest of a token; its debug form reveals nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct JobTokenHash {
    salt: [u8; 16],
    digest: [u8; 32],
}

impl fmt::Debug for JobTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobTokenHash")
    }
}

impl JobTokenHash {
    /// # Errors
    /// The rule that the token breaks: 1 to 1024 characters that `Authorization: Bearer` can carry (the `b64token` of
    /// RFC 6750 section 2.1). Or that the system has no random bytes.
    pub(super) fn new(token: &str) -> Result<JobTokenHash, String> {
        check(token)?;
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt)
            .map_err(|_| "the system has no random bytes for the salt: try again".to_owned())?;
        Ok(JobTokenHash { salt, digest: digest(&salt, token.as_bytes()) })
    }

    /// Reads the contents of `job-token.json`.
    ///
    /// # Errors
    /// What is wrong with the file, without quoting it.
    pub(crate) fn from_file(contents: &[u8]) -> Result<JobTokenHash, String> {
        let members = json::versioned(contents, VERSION)?;
        if let Some(unknown) = members.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("it has {}", json::unknown_key(unknown, &KEYS)));
        }
        let bytes = |key| hex::decode(members.get(key)?.as_str()?);
        let salt = bytes("salt").and_then(|bytes| bytes.try_into().ok());
        let digest = bytes("sha256").and_then(|bytes| bytes.try_into().ok());
        Ok(JobTokenHash {
            salt: salt.ok_or("its salt is not 32 hexadecimal digits")?,
            digest: digest.ok_or("its sha256 is not 64 hexadecimal digits")?,
        })
    }

    /// The contents of `job-token.json`.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let (salt, digest) = (hex::encode(&self.salt), hex::encode(&self.digest));
        let members = json!({"version": VERSION, "salt": salt, "sha256": digest});
        format!("{members:#}\n").into_bytes()
    }

    fn matches(&self, token: &[u8]) -> bool {
        verify_slices_are_equal(&self.digest, &digest(&self.salt, token)).is_ok()
    }
}

/// What to tell about a token that was accepted.
pub(crate) fn warning(token: &str) -> Option<String> {
    (token.len() < SHORT).then(|| {
        format!(
            "the job token has fewer than {SHORT} characters and can be guessed: `openssl rand -hex 32` makes a better one"
        )
    })
}

fn check(token: &str) -> Result<(), String> {
    if token.is_empty() {
        return Err(format!(
            "the job token is empty: choose one of 1 to {LONGEST} characters, or remove it with DELETE jobtoken"
        ));
    }
    if token.len() > LONGEST {
        let length = token.len();
        return Err(format!(
            "the job token has {length} bytes, and {LONGEST} are taken: choose a shorter one"
        ));
    }
    let unpadded = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if unpadded.is_empty() || !unpadded.bytes().all(fits) {
        let shell = if token.starts_with('$') {
            "; a shell puts no variable between single quotes"
        } else {
            ""
        };
        return Err(format!(
            "the job token holds a character that \"Authorization: Bearer\" can't carry: choose one of letters, digits \
             and - . _ ~ + / with = at its end alone{shell}"
        ));
    }
    Ok(())
}

fn digest(salt: &[u8], token: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(token).finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{JobToken, JobTokenHash, warning};

    #[test]
    fn only_the_exact_token_matches_and_the_same_one_is_never_kept_alike() {
        let (one, other) =
            (JobTokenHash::new("a-token").unwrap(), JobTokenHash::new("a-token").unwrap());
        assert_ne!(one.to_file(), other.to_file());
        let set = JobToken::Set(one);
        assert!(set.matches(b"a-token"));
        for wrong in [&b""[..], b"a-toke", b"a-token ", b"A-token", b"a-token\0"] {
            assert!(!set.matches(wrong), "{wrong:?}");
            assert!(!JobToken::Locked.matches(wrong) && !JobToken::Unset.matches(wrong));
        }
        assert_eq!(format!("{set:?}"), "Set(JobTokenHash)");
    }

    #[test]
    fn a_token_has_1_to_1024_characters_of_rfc_6750() {
        for good in ["a", "eyJhbGciOiJIUzI1NiJ9.e30.x-_~+/", "YQ==", &"x".repeat(1024)] {
            assert!(JobTokenHash::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "is empty"),
            (&"x".repeat(1025), "has 1025 bytes"),
            ("two words", "can't carry"),
            ("a=b", "can't carry"),
            ("==", "can't carry"),
            ("a,b", "can't carry"),
            ("a\n", "can't carry"),
            ("na\u{ef}ve", "can't carry"),
            ("$AUTH_TOKEN", "single quotes"),
        ] {
            let error = JobTokenHash::new(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(bad.len() < 3 || !error.contains(bad), "{error}");
        }
        assert!(warning("fifteen-of-them").is_some() && warning("sixteen-of-these").is_none());
    }

    #[test]
    fn a_file_reads_back_and_anything_else_is_damage() {
        let hash = JobTokenHash::new("a-token").unwrap();
        assert_eq!(JobTokenHash::from_file(&hash.to_file()), Ok(hash.clone()));
        let text = String::from_utf8(hash.to_file()).unwrap();
        for (file, why) in [
            (String::new(), "not a JSON object"),
            (text[..text.len() / 2].to_owned(), "not a JSON object"),
            (text.replace("1,", "2,"), "version is not 1"),
            (text.replace("\"version\": 1", "\"x\": 1"), "version is not 1"),
            (text.replace("{", "{\"more\": 1,"), "an unknown key"),
            (text.replace("salt", "sha1"), "an unknown key"),
            (r#"{"version": 1, "sha256": "00"}"#.to_owned(), "salt is not 32"),
            (format!(r#"{{"version": 1, "salt": "{:032}"}}"#, 0), "sha256 is not 64"),
            (
                format!(r#"{{"version": 1, "salt": "{:032}", "sha256": "{:062}"}}"#, 0, 0),
                "sha256 is not 64",
            ),
        ] {
            let error = JobTokenHash::from_file(file.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{file}: {error}");
        }
    }
}
