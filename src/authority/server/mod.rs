//! The authority on the network: plain HTTP/1.1, one thread per connection, every wait has a limit.
//!
//! Requests and answers are sealed, so the transport needs no protection of its own. Each connection
//! carries one request; on the open internet a reverse proxy in front may keep connections alive.
//!
//! `listeners` accepts, `places` decides who may stay, `connection` reads one `request` and answers it,
//! `proxies` tells for whom a reverse proxy asks, and `health` and `exposition` make the pages for
//! monitoring.

mod address;
mod connection;
mod exposition;
mod health;
mod listeners;
mod places;
mod proxies;
mod request;

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use self::address::Listen;
use self::connection::Shared;
use self::health::Health;
use self::listeners::{Accepting, Listener, Peer};
use self::places::Places;
pub(crate) use self::proxies::Proxies;
use super::clock::Clock;
use super::database::Database;
use super::keyring::Keyring;
use super::service::Service;
use crate::log::Log;
use crate::sandbox;
use crate::signals::{Signal, Signals};
use crate::store::{self, Error};
use crate::util::service_manager::ServiceManager;
use crate::util::{descriptors, utc};

/// Bytes; a request needs far less at its deepest.
const STACK_BYTES: usize = 512 * 1024;

/// How long a stop waits for connections to finish.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stop waits for connections from which nothing has arrived: a load balancer may still ask for
/// `/healthz` on one.
const SILENT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the health is looked at and the time written down.
const MINUTE: Duration = Duration::from_secs(60);

/// What the command line says.
pub(crate) struct Settings {
    pub(crate) listen: Vec<Listen>,
    pub(crate) proxies: Proxies,
    /// Whom to become after binding: a name, or `uid:gid`.
    pub(crate) user: Option<String>,
    /// Whether a person says that the clock is right.
    pub(crate) clock_is_right: bool,
    /// Days after the end of a lease from which another appliance may have the seat; never without.
    pub(crate) free_seats_after: Option<i64>,
}

/// Answers appliances until SIGTERM or SIGINT; `announce` gets the lines to print.
///
/// # Errors
/// When another process serves this folder, an address can't be bound, or there are no keys.
pub(crate) fn run(
    database: &Arc<dyn Database>,
    dir: &Path,
    settings: Settings,
    log: &Log,
    announce: impl Fn(&str),
) -> Result<(), Error> {
    let failed = |what: &str, error: &io::Error| Error::new(format!("cannot {what}: {error}"));
    // First of all: a signal that comes during the start is handled once it is over.
    let mut signals = Signals::listen().map_err(|error| failed("catch signals", &error))?;
    descriptors::raise_limit();
    let manager = ServiceManager::connect();
    if !dir.is_dir() {
        return Err(Keyring::load(&**database, dir)
            .err()
            .unwrap_or(Error::new(format!("{} is no folder", dir.display()))));
    }
    let listeners = Listener::open(&settings.listen).map_err(Error::new)?;
    if listeners.is_empty() {
        return Err(Error::new("nowhere to listen: give --listen"));
    }
    let addresses: Vec<String> = listeners.iter().map(|one| one.address().to_string()).collect();
    let sockets: Vec<&Path> = listeners.iter().filter_map(Listener::file).collect();
    sandbox::confine_authority(dir, &sockets, settings.user.as_deref(), log).map_err(Error::new)?;
    let mut service = Service::open(Arc::clone(database), dir, log.clone())?;
    let _lock = lock_folder(dir)?;
    service.free_seats_after = settings.free_seats_after;
    service.clock = Some(Clock::open(dir, now(), settings.clock_is_right)?);
    // `init` or `rotate` may have been cut short between the keys and the file that follows from them.
    Keyring::load(&**database, dir)?.write_trust(dir)?;
    let places = Places::new(Arc::clone(&service.metrics));
    let shared = Arc::new(Shared {
        service,
        places: Arc::clone(&places),
        proxies: settings.proxies,
        health: Health::new(log.clone()),
        draining: AtomicBool::new(false),
    });
    look(&shared);
    let (of_all, its_log) = (Arc::clone(&shared), log.clone());
    let handle = move |stream, peer| handle(stream, peer, &of_all, &its_log);
    let accepting = Accepting::start(listeners, log.clone(), handle)
        .map_err(|error| failed("start a thread", &error))?;
    addresses.iter().for_each(|address| announce(&format!("listening on {address}")));
    announce("ready");
    manager.notify(&format!("READY=1\nSTATUS=listening on {}", addresses.join(", ")));
    loop {
        let signal = signals.wait(Some(MINUTE));
        if signal.map_err(|error| failed("wait for signals", &error))? == Some(Signal::Shutdown) {
            break;
        }
        look(&shared);
    }
    shared.draining.store(true, Ordering::Relaxed);
    log.info("stopping");
    manager.notify("STOPPING=1\nSTATUS=stopping: requests in progress may finish");
    accepting.stop();
    drain(&places, log);
    Ok(())
}

/// Lets the requests in progress finish. An appliance whose request is cut off here sends it again and gets
/// the same answer.
fn drain(places: &Places, log: &Log) {
    let start = Instant::now();
    if places.wait_idle(start + SILENT_TIMEOUT) > 0 {
        places.close_silent();
        let cut = places.wait_idle(start + DRAIN_TIMEOUT);
        if cut > 0 {
            log.warn(format_args!("stopped with {cut} requests unfinished"));
        }
    }
}

/// Logs what keeps it from answering, whether or not anybody asks for that, and writes the time down.
fn look(shared: &Shared) {
    shared.health.faults(&shared.service, now());
    shared.service.note_time(now());
}

/// Seconds since 1970.
fn now() -> i64 {
    utc::unix_seconds(SystemTime::now())
}

/// Keeps other processes that serve this folder out.
///
/// # Errors
/// When there is one.
pub(crate) fn lock_folder(dir: &Path) -> Result<File, Error> {
    let busy = format!("another `license-authority serve` uses {}: stop it first", dir.display());
    store::lock(&dir.join("serve.lock"), busy)
}

/// Gives a new connection a place and a thread; without a place it is closed.
fn handle(stream: TcpStream, peer: Peer, shared: &Arc<Shared>, log: &Log) {
    let stream = Arc::new(stream);
    // How many a trusted proxy may have is its own business: whom it asks for is counted instead.
    let address = (!shared.proxies.trust(peer)).then(|| peer.ip());
    let Some(place) = shared.places.admit(&stream, address) else { return };
    let shared = Arc::clone(shared);
    let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        // An appliance whose connection failed asks again.
        let _ = connection::serve(&stream, peer, &place, &shared);
    });
    if let Err(error) = spawned {
        log.error(format_args!("cannot start a thread for a connection: {error}"));
    }
}
