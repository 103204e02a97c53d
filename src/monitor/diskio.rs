//! `diskio`: reads and writes of every disk and partition in the interval, from `/proc/diskstats`.

use serde_json::{Value, json};

use super::interval::Interval;

/// The kernel counts in sectors of this many bytes, whatever the disk's sector size.
const SECTOR: u64 = 512;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let before: Vec<Disk<'_>> = disks(&interval.before.diskstats).collect();
    let all = disks(&interval.now.diskstats).map(|disk| {
        let then = before.iter().find(|then| then.name == disk.name);
        let since = |count: fn(&Disk<'_>) -> u64| {
            count(&disk).saturating_sub(then.map_or(0, |then| count(then)))
        };
        json!({
            "time_since_update": interval.seconds,
            "disk_name": disk.name,
            "read_count": since(|disk| disk.reads),
            "write_count": since(|disk| disk.writes),
            "read_bytes": since(|disk| disk.sectors_read).saturating_mul(SECTOR),
            "write_bytes": since(|disk| disk.sectors_written).saturating_mul(SECTOR),
            "key": "disk_name",
        })
    });
    Ok(all.collect())
}

struct Disk<'a> {
    name: &'a str,
    reads: u64,
    sectors_read: u64,
    writes: u64,
    sectors_written: u64,
}

/// Parses the disks. RAM disks are left out, as in Glances.
fn disks(diskstats: &str) -> impl Iterator<Item = Disk<'_>> {
    let parsed = diskstats.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Disk {
            name: fields.get(2)?,
            reads: number(3)?,
            sectors_read: number(5)?,
            writes: number(7)?,
            sectors_written: number(9)?,
        })
    });
    parsed.filter(|disk| !disk.name.starts_with("ram"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::interval::{Counters, Interval};
    use super::stats;

    #[test]
    fn disks_tell_what_moved_in_the_interval() {
        let counters = |text: &str| Counters { diskstats: text.to_owned(), ..Counters::default() };
        let interval = Interval {
            before: counters(
                "   1       0 ram0 9 9 9 9 9 9 9 9 0 9 9\n 254       0 vda 100 7 1000 5 50 6 2000 5 0 5 5 0 0 0 0 0 0\n",
            ),
            now: counters(
                " 254       0 vda 104 7 1016 5 51 6 2004 5 0 5 5 0 0 0 0 0 0\n 254       1 vda1 3 0 8 0 0 0 0 0 0 0 0\nodd\n",
            ),
            seconds: 2.0,
        };
        assert_eq!(
            stats(&interval).unwrap().to_string(),
            r#"[{"time_since_update":2.0,"disk_name":"vda","read_count":4,"write_count":1,"read_bytes":8192,"write_bytes":2048,"key":"disk_name"},{"time_since_update":2.0,"disk_name":"vda1","read_count":3,"write_count":0,"read_bytes":4096,"write_bytes":0,"key":"disk_name"}]"#
        );
    }
}
