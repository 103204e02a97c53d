//! CPU time of server, backend and client over one window, and the latencies in it.

use std::time::Instant;

use crate::arguments::Arguments;

/// Nanoseconds on a clock of the kernel; 0 if there is no such clock.
fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which is ours.
    if unsafe { libc::clock_gettime(id, &mut time) } != 0 {
        return 0;
    }
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CLOCK_MONOTONIC, as Python's `time.monotonic_ns` tells it.
pub(crate) fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Seconds of CPU that processes have used, all their threads together, ended ones too. The number of
/// a process's CPU clock is made of its process number: clock_getcpuclockid(3).
fn cpu_of(processes: &[i32]) -> f64 {
    processes.iter().map(|process| clock((!process << 3) | 2)).sum::<u64>() as f64 / 1e9
}

pub(crate) struct Meter {
    server: Vec<i32>,
    backend: Vec<i32>,
    began: Instant,
    cpu: [f64; 3],
}

impl Meter {
    pub(crate) fn start(arguments: &Arguments) -> Meter {
        let mut meter = Meter {
            server: arguments.processes("pids"),
            backend: arguments.processes("backend"),
            began: Instant::now(),
            cpu: [0.0; 3],
        };
        meter.cpu = meter.read();
        meter.began = Instant::now();
        meter
    }

    fn read(&self) -> [f64; 3] {
        let own = clock(libc::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e9;
        [cpu_of(&self.server), cpu_of(&self.backend), own]
    }

    /// Members of a JSON object: the length of the window and the CPU used in it, in seconds.
    pub(crate) fn json(&self) -> String {
        let (seconds, cpu) = (self.began.elapsed().as_secs_f64(), self.read());
        let [server, backend, client] = [0, 1, 2].map(|i| cpu[i] - self.cpu[i]);
        format!(
            "\"secs\":{seconds:.6},\"server_cpu\":{server:.6},\"backend_cpu\":{backend:.6},\
             \"client_cpu\":{client:.6}"
        )
    }
}

/// Microseconds of everything that was answered.
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies(Vec::with_capacity(1 << 20))
    }

    pub(crate) fn note(&mut self, began: Instant) {
        self.0.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Members of a JSON object: how many, and percentiles in microseconds.
    pub(crate) fn json(&mut self) -> String {
        self.0.sort_unstable();
        let at = |share: f64| {
            let last = self.0.len().saturating_sub(1);
            self.0.get(((self.0.len() as f64 * share) as usize).min(last)).copied().unwrap_or(0)
        };
        format!(
            "\"n\":{},\"p50_us\":{},\"p99_us\":{},\"max_us\":{}",
            self.0.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}
