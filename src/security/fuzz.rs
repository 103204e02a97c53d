//! State files and uploads, for the fuzzer: each function takes any bytes and panics if an invariant is
//! broken.

use super::job_token::JobTokenHash;
use super::settings_file::SettingsFile;
use super::{PasswordHash, Source, certificate};

/// A time at which the certificates of the seeds are valid.
const NOW: i64 = 1_795_300_000;

/// Separates the key from the certificate.
const BETWEEN: &[u8] = b"\n=====\n";

/// Key and certificate as uploaded; an accepted upload reads back from its file.
pub fn upload(data: &[u8]) {
    let at = data.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (key, chain) = data.split_at(at.unwrap_or(data.len() / 2));
    let chain = chain.strip_prefix(BETWEEN).unwrap_or(chain);
    if let Ok((identity, text)) = certificate::from_upload(key, chain, NOW) {
        let kept = certificate::from_file(text.as_bytes(), Source::Uploaded);
        assert!(kept.is_ok_and(|kept| kept.summary.sha256 == identity.summary.sha256));
    }
}

/// `admin.htpasswd`: an accepted file is written as one line that is accepted again.
pub fn htpasswd(data: &[u8]) {
    if let Ok(hash) = PasswordHash::from_file(data) {
        assert_eq!(PasswordHash::from_file(hash.to_line().as_bytes()), Ok(hash));
    }
}

/// `security.json`, `job-token.json` and `tls/*.pem`.
pub fn state(data: &[u8]) {
    if let Ok(settings) = SettingsFile::from_file(data) {
        assert_eq!(SettingsFile::from_file(&settings.to_file()), Ok(settings));
    }
    if let Ok(hash) = JobTokenHash::from_file(data) {
        assert_eq!(JobTokenHash::from_file(&hash.to_file()), Ok(hash));
    }
    let _ = certificate::from_file(data, Source::Default);
}
