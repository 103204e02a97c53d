//! `fs`: mounted file systems on disks, and their space in bytes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{major, minor, statvfs};
use serde_json::{Value, json};

use super::interval::Interval;
use super::{percent, read};

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    let entry = |Space { mount: Mount { device, point, kind }, size, used, free }: Space| {
        json!({
            "device_name": device,
            "fs_type": kind,
            "mnt_point": point,
            "size": size,
            "used": used,
            "free": free,
            // Of the space that users can have: a part is reserved for root.
            "percent": percent(used, used.saturating_add(free)),
            "key": "mnt_point",
        })
    };
    Ok(spaces()?.into_iter().map(entry).collect())
}

/// A file system and its space.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) mount: Mount,
    size: u64,
    used: u64,
    /// Bytes available to users.
    pub(crate) free: u64,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) device: String,
    pub(crate) point: String,
    kind: String,
}

/// All file systems on disks, in the order of mounting.
pub(crate) fn spaces() -> Result<Vec<Space>, String> {
    let kinds = read("/proc/filesystems")?;
    let mounts = mounts(&read("/proc/self/mounts")?, &kinds, root_device);
    let spaces = mounts.into_iter().filter_map(|mount| {
        // May be unmounted by now, or not accessible.
        let room = statvfs(mount.point.as_str()).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
        let used = bytes(room.f_blocks.saturating_sub(room.f_bfree));
        Some(Space { mount, size: bytes(room.f_blocks), used, free: bytes(room.f_bavail) })
    });
    Ok(spaces.collect())
}

/// File systems of a type that needs a device, and ZFS, which claims to need none.
fn mounts(text: &str, kinds: &str, root_device: impl Fn() -> Option<String>) -> Vec<Mount> {
    let on_disk = |kind: &str| {
        kind == "zfs" || kinds.lines().any(|line| line.strip_prefix('\t') == Some(kind))
    };
    let parsed = text.lines().filter_map(|line| {
        let mut fields = line.split(' ').map(unescaped);
        let (mut device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        if matches!(device.as_str(), "/dev/root" | "rootfs") {
            device = root_device().unwrap_or(device);
        }
        Some(Mount { device, point, kind })
    });
    parsed.filter(|mount| mount.device != "none" && on_disk(&mount.kind)).collect()
}

/// Decodes blanks and backslashes, which are in octal (fstab(5)).
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |field, (code, character)| field.replace(code, character))
}

/// The disk of `/`, which a kernel booted without an initial RAM disk calls `/dev/root`.
fn root_device() -> Option<String> {
    let id = fs::metadata("/").ok()?.dev();
    let (major, minor) = (major(id).to_string(), minor(id).to_string());
    let partitions = read("/proc/partitions").ok()?;
    partitions.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            [its_major, its_minor, _, name] if its_major == major && its_minor == minor => {
                Some(format!("/dev/{name}"))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::mounts;

    const KINDS: &str = "nodev\tsysfs\nnodev\ttmpfs\n\text4\n\tvfat\nnodev\tzfs\n";

    #[test]
    fn only_what_lives_on_a_disk_is_shown() {
        let text = "/dev/root / ext4 rw 0 0\nproc /proc proc rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n\
            /dev/sda1 /mnt/a\\040b\\134c vfat rw 0 0\npool/x /pool zfs rw 0 0\nnone /n ext4 rw 0 0\nodd\n";
        let seen: Vec<(String, String)> = mounts(text, KINDS, || Some("/dev/vda".to_owned()))
            .into_iter()
            .map(|mount| (mount.device, mount.point))
            .collect();
        let wanted = [("/dev/vda", "/"), ("/dev/sda1", "/mnt/a b\\c"), ("pool/x", "/pool")];
        assert_eq!(seen, wanted.map(|(device, point)| (device.to_owned(), point.to_owned())));
    }
}
