//! From exec to the first answer over HTTPS; then the server is stopped.

use std::io;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::arguments::Arguments;
use crate::blocking::{exchange, open};
use crate::http;
use crate::tls;

/// Runs what stands after `--` on core `--core`; prints JSON.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let took = measure(arguments).map_err(|e| e.to_string())?;
    let took = took.ok_or("no answer within 20 s")?;
    println!("{{\"ms\":{:.3}}}", took.as_secs_f64() * 1000.0);
    Ok(())
}

fn measure(arguments: &Arguments) -> io::Result<Option<Duration>> {
    let (port, config) = (arguments.number("port", 0), tls::config(arguments, false));
    let request = http::get(arguments, true, 0);
    let [program, rest @ ..] = &arguments.command[..] else {
        return Err(io::Error::other("a command wanted after --"));
    };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());

    // A child begins on its parent's cores.
    let ours = sched_getaffinity(None)?;
    let mut theirs = CpuSet::new();
    theirs.set(arguments.number("core", 0));
    sched_setaffinity(None, &theirs)?;
    let began = Instant::now();
    let child = command.spawn();
    sched_setaffinity(None, &ours)?;
    let mut child = child?;

    let mut took = None;
    while took.is_none() && began.elapsed() < Duration::from_secs(20) {
        match open(port, &config, 4096).and_then(|mut tls| exchange(&mut tls, &request)) {
            Ok(200) => took = Some(began.elapsed()),
            _ => sleep(Duration::from_micros(200)),
        }
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::TERM)?;
    }
    for _ in 0..1000 {
        if child.try_wait()?.is_some() {
            return Ok(took);
        }
        sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(took)
}
