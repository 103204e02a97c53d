//! `system`: the host name and the operating system.

use serde_json::{Value, json};

use super::interval::Interval;
use super::read;

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    let kernel = rustix::system::uname();
    let distribution = distribution(&read("/etc/os-release").unwrap_or_default());
    let platform = if cfg!(target_pointer_width = "64") { "64bit" } else { "32bit" };
    Ok(json!({
        "os_name": kernel.sysname().to_string_lossy(),
        "hostname": kernel.nodename().to_string_lossy(),
        "platform": platform,
        "linux_distro": distribution,
        "os_version": kernel.release().to_string_lossy(),
        "hr_name": format!("{distribution} {platform}"),
    }))
}

/// Name and version of os-release(5); empty if it has neither.
fn distribution(os_release: &str) -> String {
    let value = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let known: Vec<String> = [value("NAME"), value("VERSION_ID")].into_iter().flatten().collect();
    known.join(" ")
}

#[cfg(test)]
mod tests {
    use super::distribution;

    #[test]
    fn the_distribution_is_name_and_version() {
        let file = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";
        assert_eq!(distribution(file), "Debian GNU/Linux 12");
        assert_eq!(distribution("NAME='Alpine Linux'\nID=alpine\n"), "Alpine Linux");
        assert_eq!(distribution(""), "");
    }
}
