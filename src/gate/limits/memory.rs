//! How much memory this process may use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit};

/// The machine's memory in bytes, or a lower limit (`ulimit -v`, a control group), as it was at the start.
pub(crate) fn bytes() -> usize {
    static BYTES: LazyLock<usize> = LazyLock::new(|| {
        let info = rustix::system::sysinfo();
        let machine = info.totalram.saturating_mul(info.mem_unit.into());
        let addresses = getrlimit(Resource::As).current.unwrap_or(u64::MAX);
        let groups = of_control_groups(|file| fs::read_to_string(file).ok());
        usize::try_from(machine.min(addresses).min(groups)).unwrap_or(usize::MAX)
    });
    *BYTES
}

/// The lowest limit of our control group and its parents, cgroups(7): beyond `memory.max`, and version 1's
/// `memory.limit_in_bytes`, the kernel kills us, and beyond `memory.high` it throttles us. The path that a
/// container sees may exist only outside; then the root of its tree is its own group.
fn of_control_groups(read: impl Fn(&Path) -> Option<String>) -> u64 {
    let mut least = u64::MAX;
    for line in read(Path::new("/proc/self/cgroup")).unwrap_or_default().lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (tree, files): (_, &[_]) = match controllers {
            "" => ("/sys/fs/cgroup", &["memory.max", "memory.high"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            for file in files {
                let text = read(&PathBuf::from_iter([Path::new(tree), group, Path::new(file)]));
                // "max" means no limit.
                least =
                    text.and_then(|text| text.trim_end().parse().ok()).unwrap_or(least).min(least);
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::of_control_groups;

    fn least(own: &str, files: &[(&str, &str)]) -> u64 {
        of_control_groups(|path| {
            let path = path.to_str()?;
            let found =
                files.iter().find(|(file, _)| path.strip_prefix("/sys/fs/cgroup/") == Some(file));
            let text = if path == "/proc/self/cgroup" { own } else { found?.1 };
            Some(text.to_owned())
        })
    }

    #[test]
    fn the_least_limit_of_our_control_group_and_those_around_it_counts() {
        let files = [
            ("a/memory.max", "900\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.high", "700\n"),
            ("a/b/c/memory.max", "800\n"),
            ("other/memory.max", "1\n"),
        ];
        for (own, bytes) in [("a/b/c", 700), ("a", 900), ("", u64::MAX), ("../x", u64::MAX)] {
            assert_eq!(least(&format!("0::/{own}\n"), &files), bytes, "{own}");
        }
    }

    #[test]
    fn limits_of_version_1_and_at_the_root_of_a_container_count_too() {
        let files = [
            ("memory/memory.limit_in_bytes", "500\n"),
            ("memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/a/memory.limit_in_bytes", "1\n"),
            ("memory.max", "600\n"),
        ];
        assert_eq!(least("9:name=systemd:/a\n4:hugetlb,memory:/a\n1:cpu:/a\n", &files), 500);
        assert_eq!(least("4:memory:/docker/123\n", &files), 500);
        assert_eq!(least("0::/docker/123\n", &files), 600);
    }

    #[test]
    fn without_control_groups_there_is_no_such_limit() {
        assert_eq!(least("", &[]), u64::MAX);
        assert_eq!(least("no such line\n4:memory:/a\n", &[]), u64::MAX);
    }
}
