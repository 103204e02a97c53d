//! The administrator's password as a bcrypt line that Apache's `htpasswd -B` reads and writes.
//!
//! In: the rules for a new password, the one line of `admin.htpasswd`, the comparison.
//! Out: when to compare and how many comparisons run at once (the gate).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use bcrypt::BASE_64;
use sha2::{Digest, Sha256};

use super::bcrypt_yielding;
use super::spelling::spelling;

/// bcrypt reads no further: two passwords that differ only after byte 72 would be the same.
const LONGEST_BYTES: usize = 72;
/// About a quarter of a second per guess on a small machine.
const COST: u32 = 12;
/// A cost of 17 already takes eight seconds per guess; a typing error in a file (say 31: days) must
/// not block the appliance.
const COSTS: std::ops::RangeInclusive<u32> = 4..=17;
/// The only user (M1-23, M2-16).
const USER: &str = "admin";

/// A bcrypt hash of the password; its debug form reveals nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash {
    hash: String,
    fingerprint: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    /// Hashes a new password, which takes as long as one comparison.
    ///
    /// # Errors
    /// The rule that the password breaks: 1 to 72 bytes in its [`spelling`], without control characters.
    pub(super) fn new(password: &str) -> Result<PasswordHash, String> {
        let password = spelling(password.as_bytes());
        if password.is_empty() {
            return Err("the password is empty: choose one of 1 to 72 bytes".to_owned());
        }
        if password.len() > LONGEST_BYTES {
            return Err(format!(
                "the password has {} bytes, and bcrypt reads no more than {LONGEST_BYTES}: choose a \
                 shorter one",
                password.len()
            ));
        }
        if password.chars().any(char::is_control) {
            return Err("the password holds a control character (a line end or a tab, perhaps), \
                        which can't be typed into a browser's prompt: choose one without"
                .to_owned());
        }
        let parts = bcrypt::hash_with_result(password.as_bytes(), COST)
            .map_err(|error| format!("the password could not be hashed: {error}"))?;
        Ok(PasswordHash::from_hash(parts.format_for_version(bcrypt::Version::TwoY)))
    }

    /// Reads the contents of `admin.htpasswd`: exactly one line for `admin`; empty lines and
    /// comments may stand around it.
    ///
    /// # Errors
    /// What is wrong with the file, without quoting it.
    pub(crate) fn from_file(contents: &[u8]) -> Result<PasswordHash, String> {
        // Windows editors write a byte order mark before the text.
        let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
        let text = std::str::from_utf8(contents).map_err(|_| "it is not text")?;
        let mut lines = text.lines().map(str::trim);
        let mut lines = lines.by_ref().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = lines.next().ok_or("it holds no line for the user admin")?;
        if lines.next().is_some() {
            return Err("it holds more than one line, and admin is the only user".to_owned());
        }
        let (user, hash) =
            line.split_once(':').ok_or("its line is not of the form admin:<bcrypt hash>")?;
        if user != USER {
            return Err("its line is for another user, and the user is always admin".to_owned());
        }
        if !["$2y$", "$2b$", "$2a$"].iter().any(|prefix| hash.starts_with(prefix)) {
            return Err("its hash is not bcrypt ($2y$, $2b$ or $2a$)".to_owned());
        }
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| "its bcrypt hash is malformed")?;
        if !COSTS.contains(&parts.get_cost()) {
            return Err(format!(
                "its bcrypt cost is {}, and {} to {} are taken: more would keep the appliance busy \
                 for minutes with every login",
                parts.get_cost(),
                COSTS.start(),
                COSTS.end()
            ));
        }
        Ok(PasswordHash::from_hash(hash.to_owned()))
    }

    /// The line for `admin.htpasswd`.
    pub(super) fn to_line(&self) -> String {
        format!("{USER}:{}\n", self.hash)
    }

    /// Compares the password, in the same time whatever it is (CPU bound; cost 12 takes about a quarter of a
    /// second). Yields the CPU to other threads meanwhile.
    ///
    /// `password` is in the [`spelling`] in which a new one is hashed: trying another would take as long again.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        // bcrypt would ignore bytes after the 72nd and repeat the password over a NUL, so that wrong
        // passwords would match. The hash is computed anyway, to take the same time.
        let exact = password.len() <= LONGEST_BYTES && !password.contains(&0);
        self.hashes_to_this(password).unwrap_or(false) && exact
    }

    fn hashes_to_this(&self, password: &[u8]) -> Result<bool, bcrypt::BcryptError> {
        let parts: bcrypt::HashParts = self.hash.parse()?;
        let hash = bcrypt_yielding::hash(password, parts.get_cost(), parts.get_salt_raw());
        let written = BASE_64.encode(hash);
        let (_, end) = self.hash.split_at(self.hash.len() - written.len());
        Ok(verify_slices_are_equal(written.as_bytes(), end.as_bytes()).is_ok())
    }

    /// Identifies the hash in the file; verified credentials are cached under it.
    pub(crate) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    fn from_hash(hash: String) -> PasswordHash {
        let fingerprint = Sha256::digest(hash.as_bytes()).into();
        PasswordHash { hash, fingerprint }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine as _;

    use super::PasswordHash;

    /// The value of M2-22, for a lost password.
    const MANUALS_VALUE: &str = "YWRtaW46JDJ5JDA1JFExeFBVUFJyRG96LzQwWEZuN09aVHVtV1dzallUeWlhOHo1ZUkvWHpHRUhSUng0dXRyM2UyCg==";

    fn manuals_line() -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(MANUALS_VALUE).unwrap()
    }

    #[test]
    fn the_manuals_value_makes_the_password_admin() {
        let hash = PasswordHash::from_file(&manuals_line()).unwrap();
        assert!(hash.matches(b"admin"));
        assert!(!hash.matches(b"Admin"));
        assert!(!hash.matches(b""));
        assert_eq!(hash.to_line().as_bytes(), manuals_line());
    }

    #[test]
    fn a_new_password_is_a_2y_line_of_cost_12_that_reads_back() {
        let made = PasswordHash::new("pässword: 1").unwrap();
        let line = made.to_line();
        assert!(line.starts_with("admin:$2y$12$") && line.ends_with('\n') && line.len() == 67);
        let read = PasswordHash::from_file(line.as_bytes()).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.fingerprint(), made.fingerprint());
        assert!(read.matches("pässword: 1".as_bytes()));
        assert_ne!(PasswordHash::new("pässword: 1").unwrap().fingerprint(), made.fingerprint());
    }

    #[test]
    fn a_password_has_1_to_72_bytes_without_control_characters() {
        let longest = "x".repeat(72);
        assert!(PasswordHash::new(&longest).unwrap().matches(longest.as_bytes()));
        for (password, why) in [
            ("", "empty"),
            ("x".repeat(73).as_str(), "73 bytes"),
            ("é".repeat(37).as_str(), "74 bytes"),
            ("a\nb", "control"),
            ("a\0b", "control"),
            ("a\u{85}b", "control"),
        ] {
            let error = PasswordHash::new(password).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn only_the_exact_password_passes_where_bcrypt_alone_would_pass_more() {
        let hash = PasswordHash::from_file(&manuals_line()).unwrap();
        assert!(!hash.matches(b"admin\0admin"));
        let longest = "x".repeat(72);
        let hash = PasswordHash::new(&longest).unwrap();
        assert!(!hash.matches(format!("{longest}y").as_bytes()));
    }

    #[test]
    fn files_by_htpasswd_are_read_with_comments_empty_lines_and_windows_line_ends() {
        let line = String::from_utf8(manuals_line()).unwrap();
        let file = format!("# made with htpasswd -B\r\n\r\n{}\r\n\r\n", line.trim());
        assert!(PasswordHash::from_file(file.as_bytes()).is_ok());
        assert!(PasswordHash::from_file(format!("\u{feff}{line}").as_bytes()).is_ok());
        for version in ["$2a$", "$2b$"] {
            let file = line.replace("$2y$", version);
            assert!(PasswordHash::from_file(file.as_bytes()).unwrap().matches(b"admin"));
        }
    }

    #[test]
    fn everything_else_in_the_file_is_refused_with_the_reason() {
        let line = String::from_utf8(manuals_line()).unwrap();
        for (file, why) in [
            (String::new(), "no line"),
            ("# nothing\n".to_owned(), "no line"),
            (format!("{line}{line}"), "more than one line"),
            (line.replace("admin:", "root:"), "another user"),
            (line.replace(':', " "), "not of the form"),
            ("admin:$apr1$abc$abcdefgh\n".to_owned(), "not bcrypt"),
            ("admin:secret\n".to_owned(), "not bcrypt"),
            (line.replace("$2y$", "$2x$"), "not bcrypt"),
            (line[..40].to_owned(), "malformed"),
            (line.replace("$05$", "$18$"), "cost is 18"),
            (line.replace("$05$", "$03$"), "cost is 3"),
        ] {
            let error = PasswordHash::from_file(file.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("secret"));
        }
        assert!(PasswordHash::from_file(b"admin:\xff").unwrap_err().contains("not text"));
    }

    #[test]
    fn the_debug_form_tells_nothing() {
        let hash = PasswordHash::from_file(&manuals_line()).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash");
    }
}
