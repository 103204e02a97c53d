//! A certificate changes under load: who notices, and when.
//!
//! For `--secs`: 100 requests/s on new connections, 10 kept connections with 10 requests/s each, one
//! upload that lasts all the time. After `--at` it says GO; whoever runs it puts the new certificate in
//! place and writes the time of the order (CLOCK_MONOTONIC, nanoseconds) to standard input. From then
//! on handshakes follow one another until the new certificate is seen.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, scope, sleep};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::arguments::Arguments;
use crate::blocking::{Tls, exchange, open, read_answer};
use crate::http;
use crate::meter::now;
use crate::tls;

struct Swap {
    port: u16,
    config: Arc<ClientConfig>,
    request: Vec<u8>,
    began: Instant,
    end: Instant,
    /// The certificate that was there first.
    old: Vec<u8>,
    /// When it was last shown to a new connection, CLOCK_MONOTONIC.
    last_old: AtomicU64,
    log: Mutex<BTreeMap<&'static str, u64>>,
}

impl Swap {
    fn open(&self) -> io::Result<Tls> {
        open(self.port, &self.config, 16 << 10)
    }

    fn note(&self, what: &'static str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log.entry(what).or_default() += 1;
    }

    fn judge(&self, answer: &io::Result<u16>, good: &'static str, bad: &'static str) {
        if !matches!(answer, Ok(200)) {
            eprintln!("{bad}: {answer:?}");
        }
        self.note(if matches!(answer, Ok(200)) { good } else { bad });
    }

    /// Calls `work` every `pace` until the end, the first time after `offset`.
    fn paced(&self, offset: Duration, pace: Duration, mut work: impl FnMut()) {
        let mut next = self.began + offset;
        while next < self.end {
            sleep(next.saturating_duration_since(Instant::now()));
            next += pace;
            work();
        }
    }

    fn on_new_connections(&self, offset: Duration) {
        self.paced(offset, Duration::from_millis(50), || {
            let answer = self.open().and_then(|mut tls| {
                if certificate(&tls) == self.old {
                    self.last_old.fetch_max(now(), Ordering::Relaxed);
                }
                exchange(&mut tls, &self.request)
            });
            self.judge(&answer, "new_ok", "new_failed");
        });
    }

    /// A connection that the server closed while idle is opened anew, which is no failure; a request
    /// that was sent and not answered is one.
    fn on_a_kept_connection(&self, offset: Duration) {
        let mut kept: Option<Tls> = None;
        self.paced(offset, Duration::from_millis(100), || {
            if kept.as_mut().is_some_and(was_closed) {
                self.note("reopened");
                kept = None;
            }
            let answer = match kept.take().map_or_else(|| self.open(), Ok) {
                Ok(mut tls) => exchange(&mut tls, &self.request).inspect(|_| kept = Some(tls)),
                Err(e) => Err(e),
            };
            self.judge(&answer, "kept_ok", "kept_failed");
        });
    }

    fn upload(&self) {
        let pace = Duration::from_millis(20);
        let chunk = vec![b'x'; 64 << 10];
        let answer = self.open().and_then(|mut tls| {
            let time = self.end.saturating_duration_since(Instant::now()) - pace * 25;
            let pieces = time.as_millis() as u64 / pace.as_millis() as u64;
            tls.write_all(&http::post("/api/sink", pieces * chunk.len() as u64))?;
            let mut next = Instant::now();
            for _ in 0..pieces {
                sleep(next.saturating_duration_since(Instant::now()));
                next += pace;
                tls.write_all(&chunk)?;
            }
            tls.flush()?;
            read_answer(&mut tls)
        });
        self.judge(&answer, "upload_ok", "upload_failed");
    }

    /// When the new certificate was first seen, 0 if never.
    fn probe(&self) -> u64 {
        while Instant::now() < self.end {
            match self.open() {
                Ok(tls) if certificate(&tls) != self.old => return now(),
                Ok(_) => {}
                Err(_) => self.note("probe_failed"),
            }
            sleep(Duration::from_micros(500));
        }
        0
    }
}

fn certificate(tls: &Tls) -> Vec<u8> {
    tls.conn.peer_certificates().and_then(|chain| chain.first()).map_or(vec![], |c| c.to_vec())
}

/// Looks without waiting.
fn was_closed(tls: &mut Tls) -> bool {
    let nonblocking = |tls: &Tls, on| tls.sock.0.get_ref().set_nonblocking(on).is_ok();
    let looked = nonblocking(tls, true).then(|| tls.conn.read_tls(&mut tls.sock));
    nonblocking(tls, false);
    match looked {
        Some(Ok(n)) if n > 0 => {
            tls.conn.process_new_packets().map_or(true, |state| state.peer_has_closed())
        }
        Some(Err(e)) => e.kind() != ErrorKind::WouldBlock,
        _ => true,
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let (port, config) = (arguments.number("port", 0), tls::config(arguments, false));
    let first = open(port, &config, 4096).map_err(|e| e.to_string())?;
    let began = Instant::now();
    let swap = Swap {
        port,
        config,
        request: http::get(arguments, false, 0),
        began,
        end: began + Duration::from_secs_f64(arguments.number("secs", 8.0)),
        old: certificate(&first),
        last_old: AtomicU64::new(0),
        log: Mutex::default(),
    };
    drop(first);
    let (ordered, seen) = scope(|threads| -> io::Result<(u64, u64)> {
        for k in 0..5 {
            let swap = &swap;
            let work = move || swap.on_new_connections(Duration::from_millis(10) * k);
            Builder::new().spawn_scoped(threads, work)?;
        }
        for k in 0..10 {
            let swap = &swap;
            let work = move || swap.on_a_kept_connection(Duration::from_millis(10) * k);
            Builder::new().spawn_scoped(threads, work)?;
        }
        Builder::new().spawn_scoped(threads, || swap.upload())?;
        let at = began + Duration::from_secs_f64(arguments.number("at", 2.0));
        sleep(at.saturating_duration_since(Instant::now()));
        println!("GO");
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        let ordered = line.trim().parse().map_err(io::Error::other)?;
        Ok((ordered, swap.probe()))
    })
    .map_err(|e| e.to_string())?;
    let after = |time: u64| time.saturating_sub(ordered) as f64 / 1e6;
    let log = swap.log.lock().unwrap_or_else(PoisonError::into_inner);
    let counts: String = log.iter().map(|(what, n)| format!(",\"{what}\":{n}")).collect();
    let seen = if seen == 0 { -1.0 } else { after(seen) };
    let last_old = after(swap.last_old.load(Ordering::Relaxed));
    println!("{{\"first_new_ms\":{seen:.3},\"last_old_ms\":{last_old:.3}{counts}}}");
    Ok(())
}
