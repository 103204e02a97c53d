//! `processcount`: processes and threads, from `/proc/<pid>/stat` (proc(5)).

use std::fs;

use serde_json::{Value, json};

use super::interval::Interval;
use super::read;

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    let folder = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let processes = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    // A process may have ended by now.
    let stats = processes.filter_map(|pid| read(&format!("/proc/{pid}/stat")).ok());
    Ok(count(stats))
}

fn count(stats: impl Iterator<Item = String>) -> Value {
    let (mut total, mut running, mut sleeping, mut threads) = (0, 0, 0, 0);
    for (state, own) in stats.filter_map(|stat| process(&stat)) {
        total += 1;
        running += u32::from(state == b'R');
        sleeping += u32::from(state == b'S');
        threads += own;
    }
    json!({
        "total": total,
        "running": running,
        "sleeping": sleeping,
        "thread": threads,
        // Glances means to show the highest possible number, but shows this.
        "pid_max": 0,
    })
}

/// State and thread count of one process. Its name is in parentheses and may contain some itself.
fn process(stat: &str) -> Option<(u8, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    // Field 20 of all, 18 after the name.
    Some((state, fields.nth(16)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn processes_are_counted_by_state_whatever_they_are_called() {
        let stat = |name: &str, state: &str, threads: u32| {
            format!("7 ({name}) {state} 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 {threads} 0 99 1\n")
        };
        let stats = [
            stat("init", "S", 1),
            stat("a) R (b", "S", 4),
            stat("busy", "R", 2),
            stat("kworker/0:1", "I", 1),
            "ended".to_owned(),
        ];
        assert_eq!(
            count(stats.into_iter()).to_string(),
            r#"{"total":4,"running":1,"sleeping":2,"thread":8,"pid_max":0}"#
        );
    }
}
