//! The identity of this appliance: its device key and its computer id, on disk.
//!
//! The key gives continuity when the machine's identifiers change (a move), and proves that a license
//! is returned by its holder. It is generated at the first start and never leaves the appliance.

pub(crate) mod computer_id;
pub(crate) mod trust_file;

use std::fmt;
use std::time::SystemTime;

use aws_lc_rs::{hkdf, hmac};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::protocol::hex;
use crate::license::device::computer_id::{Machine, uuid_from};
use crate::license::protocol::key::SigningKey;
use crate::license::protocol::random::{CryptoError, random};
use crate::log::Log;
use crate::store::{Error, Folder, View};

pub(crate) const KEY: &str = "device.key";
const IDENTITY: &str = "identity.json";
const VERSION: u64 = 1;

/// Largest file in bytes; both have less than a hundred.
const LARGEST: u64 = 4_096;

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Error {
        Error::new(error.to_string())
    }
}

/// Key and id of this appliance.
pub(crate) struct Device {
    /// Signs requests to the authority.
    pub(crate) key: SigningKey,
    /// Derived from the device key: proves that this device wrote a file.
    mac: hmac::Key,
    /// Identifies the computer.
    pub(crate) computer_id: String,
    /// The id is random and stored, because the machine has no identifier to derive one from.
    pub(crate) is_random: bool,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.computer_id)
    }
}

impl Device {
    /// Reads both files, and creates what is missing. A damaged key is set aside and a new one generated;
    /// the authority then sees a new device on the same computer.
    ///
    /// # Errors
    /// When the disk or the system's random source fails.
    pub(crate) fn open(folder: &Folder, machine: &Machine, log: &Log) -> Result<Device, Error> {
        let key = open_key(folder, log)?;
        let recorded = read_identity(folder.view());
        let known = recorded.as_ref().map(|(id, _)| id.clone());
        let (computer_id, is_random) = match (machine.computer_id(), recorded) {
            (Some(id), _) => (id, false),
            (None, Some((id, true))) => (id, true),
            (None, _) => (uuid_from(&random::<16>()?), true),
        };
        let moved = known.is_some_and(|known| known != computer_id);
        let device = Device { mac: mac_key(&key), key, computer_id, is_random };
        if moved {
            log.security(
                "this appliance runs on another computer than before; the license moves with it",
            );
        }
        device.save(folder)?;
        Ok(device)
    }

    /// Reads the device without creating or changing a file; `None` if there is no key. A missing id is
    /// read as empty, because only the daemon can ask the machine for it, as root.
    ///
    /// # Errors
    /// When the key is damaged, or can't be read or trusted.
    pub(crate) fn inspect(view: &View) -> Result<Option<Device>, Error> {
        let key = match read_key(view)? {
            None => return Ok(None),
            Some(Ok(key)) => key,
            Some(Err(Damaged)) => {
                return Err(Error::new(format!(
                    "{} is damaged: the next start sets it aside and generates a new key, for which the \
                     present license is not valid; restore the file, or post the license code again \
                     after that start",
                    view.path(KEY).display()
                )));
            }
        };
        let (computer_id, is_random) = read_identity(view).unwrap_or_default();
        Ok(Some(Device { mac: mac_key(&key), key, computer_id, is_random }))
    }

    /// An authentication code for `text` that only this device can make.
    pub(crate) fn seal(&self, text: &str) -> String {
        hex::encode(hmac::sign(&self.mac, text.as_bytes()).as_ref())
    }

    /// Whether `seal` is the authentication code of this device for `text`.
    #[must_use]
    pub(crate) fn is_sealed(&self, text: &str, seal: &str) -> bool {
        hex::decode(seal).is_some_and(|tag| hmac::verify(&self.mac, text.as_bytes(), &tag).is_ok())
    }

    fn save(&self, folder: &Folder) -> Result<(), Error> {
        let file = json!({
            "version": VERSION,
            "computer_id": self.computer_id,
            "soft": self.is_random,
        });
        let contents = format!("{file:#}\n");
        let present = folder.view().read(IDENTITY, LARGEST);
        if present.is_ok_and(|present| present.is_some_and(|p| *p == *contents.as_bytes())) {
            return Ok(());
        }
        folder.replace(IDENTITY, contents.as_bytes())
    }
}

/// Derives the key for seals with HKDF (RFC 5869), so that it differs from the signing key.
fn mac_key(key: &SigningKey) -> hmac::Key {
    let secret =
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"appliance-license/1").extract(&key.seed()[..]);
    let mut bytes = Zeroizing::new([0; 32]);
    let filled =
        secret.expand(&[b"state"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut bytes[..]));
    // SHA-256 yields 32 bytes in one block; if this ever failed, no file would verify.
    debug_assert!(filled.is_ok());
    hmac::Key::new(hmac::HMAC_SHA256, &bytes[..])
}

fn open_key(folder: &Folder, log: &Log) -> Result<SigningKey, Error> {
    match read_key(folder.view())? {
        Some(Ok(key)) => return Ok(key),
        Some(Err(Damaged)) => {
            let aside = folder.set_aside(KEY, SystemTime::now())?;
            log.error(format_args!(
                "{KEY} is damaged and kept as {}; a new key is generated, post the license code again",
                aside.display()
            ));
        }
        None => {}
    }
    let key = SigningKey::generate()?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(&key.seed()[..])));
    folder.replace(KEY, text.as_bytes())?;
    Ok(key)
}

struct Damaged;

/// Reads the key. A key that other users could have written is an error: it is not overwritten, and the
/// administrator has to check it.
fn read_key(view: &View) -> Result<Option<Result<SigningKey, Damaged>>, Error> {
    let Some(contents) = view.read(KEY, LARGEST)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&contents).unwrap_or_default().trim();
    let seed = hex::decode(text).map(Zeroizing::new);
    let Some(seed) = seed.and_then(|seed| <[u8; 32]>::try_from(&seed[..]).ok()) else {
        return Ok(Some(Err(Damaged)));
    };
    Ok(Some(Ok(SigningKey::from_seed(&Zeroizing::new(seed))?)))
}

/// Reads the id and whether it is random. A damaged file is ignored, because the id can be derived again.
fn read_identity(view: &View) -> Option<(String, bool)> {
    let contents = view.read(IDENTITY, LARGEST).ok()??;
    let value: Value = serde_json::from_slice(&contents).ok()?;
    let id = super::protocol::fields::computer_id(value["computer_id"].as_str()?)?;
    Some((id, value["soft"].as_bool()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::sync::{Arc, Mutex};

    use super::{Device, Machine};
    use crate::log::Log;
    use crate::store::{Folder, Scratch};

    fn open(scratch: &Scratch, machine: &Machine) -> Device {
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        Device::open(&folder, machine, &Log::to(|_| {})).unwrap()
    }

    fn machine(digit: char) -> Machine {
        Machine::new("", &digit.to_string().repeat(32))
    }

    #[test]
    fn key_and_id_stay_over_restarts() {
        let scratch = Scratch::new();
        let first = open(&scratch, &machine('a'));
        let second = open(&scratch, &machine('a'));
        assert_eq!(first.key.public(), second.key.public());
        assert_eq!(first.computer_id, second.computer_id);
        assert!(!first.is_random);
    }

    #[test]
    fn two_appliances_from_one_image_are_two() {
        let (one, two) = (Scratch::new(), Scratch::new());
        let (one, two) = (open(&one, &machine('a')), open(&two, &machine('b')));
        assert_ne!(one.key.public(), two.key.public());
        assert_ne!(one.computer_id, two.computer_id);
    }

    #[test]
    fn a_machine_without_identity_keeps_a_random_one() {
        let scratch = Scratch::new();
        let first = open(&scratch, &Machine::default());
        let second = open(&scratch, &Machine::default());
        assert!(first.is_random && second.is_random);
        assert_eq!(first.computer_id, second.computer_id);
        let other = Scratch::new();
        assert_ne!(open(&other, &Machine::default()).computer_id, first.computer_id);
    }

    #[test]
    fn another_computer_is_logged_and_the_key_stays() {
        let scratch = Scratch::new();
        let first = open(&scratch, &machine('a'));
        let logged = Mutex::new(String::new());
        let logged = Arc::new(logged);
        let log = Arc::clone(&logged);
        let log = Log::to(move |line| log.lock().unwrap().push_str(line));
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        let moved = Device::open(&folder, &machine('b'), &log).unwrap();
        assert_eq!(first.key.public(), moved.key.public());
        assert_ne!(first.computer_id, moved.computer_id);
        assert!(logged.lock().unwrap().contains("another computer"));
    }

    #[test]
    fn a_damaged_key_is_kept_aside_and_another_made() {
        let scratch = Scratch::new();
        let first = open(&scratch, &machine('a'));
        let seal = first.seal("text");
        assert!(first.is_sealed("text", &seal) && !first.is_sealed("texT", &seal));
        fs::write(scratch.0.join("state/device.key"), "half").unwrap();
        let second = open(&scratch, &machine('a'));
        assert_eq!(first.computer_id, second.computer_id);
        assert!(!second.is_sealed("text", &seal));
        let kept = fs::read_dir(scratch.0.join("state")).unwrap().flatten();
        assert!(kept.into_iter().any(|entry| {
            entry.file_name().to_string_lossy().starts_with("device.key.damaged-")
        }));
    }
}
