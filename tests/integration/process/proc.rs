//! A process as `/proc` shows it (proc(5)).

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::support::appliance::Appliance;

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

pub(crate) fn daemon(appliance: &Appliance) -> Process {
    Process(appliance.pid().as_raw_nonzero().get().cast_unsigned())
}

impl Process {
    fn folder(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0))
    }

    pub(crate) fn lives(self) -> bool {
        // A zombie has no program any more.
        fs::read(self.folder().join("cmdline")).is_ok_and(|line| !line.is_empty())
    }

    /// The value of a line of `status`, one blank between its parts.
    pub(crate) fn status(self, name: &str) -> String {
        value(&fs::read_to_string(self.folder().join("status")).unwrap(), name)
    }

    /// The value of that line for every thread.
    pub(crate) fn statuses(self, name: &str) -> Vec<String> {
        let threads = fs::read_dir(self.folder().join("task")).unwrap();
        let texts = threads.filter_map(|t| fs::read_to_string(t.ok()?.path().join("status")).ok());
        texts.map(|text| value(&text, name)).collect()
    }

    /// What its descriptors lead to, by number.
    pub(crate) fn open(self) -> Vec<(u32, String)> {
        let mut open: Vec<_> = fs::read_dir(self.folder().join("fd"))
            .unwrap()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let number = path.file_name()?.to_str()?.parse().ok()?;
                Some((number, fs::read_link(path).ok()?.to_str()?.to_owned()))
            })
            .collect();
        open.sort();
        open
    }

    /// What its descriptors lead to, without those that this test program hands on to all it starts.
    pub(crate) fn open_of_its_own(self) -> Vec<(u32, String)> {
        let handed_on = Process(std::process::id()).open();
        self.open().into_iter().filter(|one| one.0 <= 2 || !handed_on.contains(one)).collect()
    }

    /// The TCP ports that its sockets listen on.
    pub(crate) fn ports(self) -> BTreeSet<u16> {
        let open: BTreeSet<String> =
            self.open().into_iter().map(|(_, leads_to)| leads_to).collect();
        let mut ports = BTreeSet::new();
        for table in ["net/tcp", "net/tcp6"] {
            let text = fs::read_to_string(self.folder().join(table)).unwrap_or_default();
            for line in text.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                // Local address, state (0A listens) and inode.
                if fields[3] == "0A" && open.contains(&format!("socket:[{}]", fields[9])) {
                    let port = fields[1].rsplit_once(':').unwrap().1;
                    ports.insert(u16::from_str_radix(port, 16).unwrap());
                }
            }
        }
        ports
    }

    pub(crate) fn children(self) -> Vec<Process> {
        let mut children = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let text = fs::read_to_string(process.path().join("status")).unwrap_or_default();
            if text.lines().any(|line| line == format!("PPid:\t{}", self.0)) {
                children.push(Process(number));
            }
        }
        children
    }

    /// What it was started with.
    pub(crate) fn environment(self) -> String {
        let bytes = fs::read(self.folder().join("environ")).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    }

    pub(crate) fn limit(self, name: &str) -> String {
        let text = fs::read_to_string(self.folder().join("limits")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Who may look into its memory: the owner of its folder, which is root for those that are not
    /// dumpable.
    pub(crate) fn owner_of_secrets(self) -> u32 {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(self.folder().join("environ")).unwrap().uid()
    }
}

fn value(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
