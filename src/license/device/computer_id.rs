//! The computer id: identifies the computer to the authority.
//!
//! A reinstalled virtual machine keeps its id, and so its seat. The machine's own identifiers never
//! leave it: machine-id(5) asks for a derived id.

use aws_lc_rs::hmac;

/// The machine's identifiers, read once at the start while the process may still be root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    product_uuid: Option<String>,
    machine_id: Option<String>,
}

/// Placeholders on boards whose manufacturer set no UUID.
const PLACEHOLDER_UUIDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
];

impl Machine {
    /// Reads the identifiers of the hypervisor (readable by root only) and the system.
    pub(crate) fn detect() -> Machine {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Machine::new(&read("/sys/class/dmi/id/product_uuid"), &read("/etc/machine-id"))
    }

    pub(crate) fn new(product_uuid: &str, machine_id: &str) -> Machine {
        let uuid = product_uuid.trim().to_ascii_lowercase();
        let id = machine_id.trim().to_ascii_lowercase();
        let id_counts = id.len() == 32 && is_hex(&id) && id.bytes().any(|b| b != b'0');
        Machine {
            product_uuid: (is_uuid(&uuid) && !PLACEHOLDER_UUIDS.contains(&uuid.as_str()))
                .then_some(uuid),
            machine_id: id_counts.then_some(id),
        }
    }

    /// The id, stable across reboots; `None` if this machine has no identifier to derive it from.
    pub(crate) fn computer_id(&self) -> Option<String> {
        if self.product_uuid.is_none() && self.machine_id.is_none() {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"appliance-license/1 computer-id");
        let uuid = self.product_uuid.as_deref().unwrap_or_default();
        let id = self.machine_id.as_deref().unwrap_or_default();
        Some(uuid_from(hmac::sign(&key, format!("{uuid}\0{id}").as_bytes()).as_ref()))
    }
}

/// A UUID of version 8, "custom" (RFC 9562 section 5.8), from the first 16 of `bytes`.
pub(crate) fn uuid_from(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(36);
    for (index, byte) in bytes.iter().take(16).enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            digits.push('-');
        }
        let byte = match index {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        digits.push_str(&format!("{byte:02x}"));
    }
    digits
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == lengths.len()
        && groups.iter().zip(lengths).all(|(group, length)| group.len() == length && is_hex(group))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Machine, is_uuid};

    const UUID: &str = "4c4c4544-0051-3510-8052-b4c04f4a4e31\n";
    const ID: &str = "0123456789abcdef0123456789abcdef\n";

    #[test]
    fn the_id_is_a_uuid_that_reveals_no_identifier_of_the_machine() {
        let id = Machine::new(UUID, ID).computer_id().unwrap();
        assert!(is_uuid(&id) && id.as_bytes()[14] == b'8', "{id}");
        assert!(!id.contains("4c4c4544") && !id.contains("01234567"), "{id}");
        assert_eq!(Machine::new(&UUID.to_uppercase(), ID).computer_id().unwrap(), id);
    }

    #[test]
    fn two_machines_are_two_and_one_stays_one() {
        let id = |uuid, id| Machine::new(uuid, id).computer_id();
        assert_eq!(id(UUID, ID), id(UUID, ID));
        assert_ne!(id(UUID, ID), id("4c4c4544-0051-3510-8052-b4c04f4a4e32", ID));
        assert_ne!(id(UUID, ID), id(UUID, "f123456789abcdef0123456789abcdef"));
        assert!(id("", ID).is_some() && id(UUID, "").is_some());
        assert_ne!(id("", ID), id(UUID, ID));
    }

    #[test]
    fn an_identifier_that_many_machines_share_does_not_count() {
        for uuid in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "Not Settable",
            "",
        ] {
            for id in ["", "uninitialized", "00000000000000000000000000000000"] {
                assert_eq!(Machine::new(uuid, id).computer_id(), None, "{uuid} {id}");
            }
        }
    }
}
