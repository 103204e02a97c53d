//! Start-up and shut-down, told once: bind, confine, open the state, serve, drain.
//!
//! The composition root: it alone knows every room.

use std::io::{self, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::gate::{Bound, Gate, Listeners};
use crate::helper;
use crate::helper::CommandHelper;
use crate::license;
use crate::log::Log;
use crate::management::{self, Context};
use crate::sandbox;
use crate::security::SecuritySettings;
use crate::signals::{Signal, Signals};

/// On SIGTERM, requests in flight get so long to finish.
const DRAIN: Duration = Duration::from_secs(9);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// One line that says why it could not start.
pub(crate) fn run(config: Config, log: &Log) -> Result<(), String> {
    // First of all, for a start takes as long as the key of a first certificate: what is asked meanwhile
    // is done once ready.
    let mut wishes = Signals::listen().map_err(|e| format!("cannot catch signals: {e}"))?;
    raise_descriptor_limit();
    let config = Arc::new(config);

    let bound = Bound::all(&config.listen, log)?;
    let machine = license::Machine::detect(); // root alone may read all of it
    let manager = ServiceManager::look();
    let attendant = helper::start(&config.commands)?;
    sandbox::confine(&config, log)?;

    let keeper = Arc::new(SecuritySettings::open(&config.state_dir, config.api, log.clone())?);
    let license = license::start(&config, keeper.folder(), &machine, log)
        .map_err(|e| format!("license: {e}"))?;
    wishes.watch(&[&config.state_dir, &config.state_dir.join("tls")], log);
    let context = Context {
        config: Arc::clone(&config),
        keeper: Arc::clone(&keeper),
        license: license.clone(),
        log: log.clone(),
        monitor: Arc::default(),
        attendant: Arc::new(CommandHelper::new(attendant, log)?),
        turns: Arc::default(),
    };
    let management = management::start(&config.run_dir, context.clone())?;
    let usage = management::start_usage(&config.run_dir, license.clone(), log.clone())?;
    let gate = Gate::new(
        Arc::clone(&config),
        &config.control_socket(),
        management::at_once(context),
        Arc::clone(keeper.rules()),
        Arc::clone(keeper.identity()),
        Arc::clone(license.entitlement()),
        log.clone(),
    )?;
    let listeners: Vec<String> = bound.iter().map(Bound::describe).collect();
    let open = Listeners::start(Arc::new(gate), bound).map_err(|e| format!("cannot serve: {e}"))?;
    announce(&listeners);
    manager.tell("READY=1");

    while wishes.wait().map_err(|e| format!("cannot wait for signals: {e}"))? == Signal::Reload {
        keeper.reload();
    }

    manager.tell("STOPPING=1");
    log.info("stopping: requests in flight may finish");
    let deadline = Instant::now() + DRAIN;
    let cut = open.drain(deadline);
    if cut > 0 {
        log.warn(format_args!("stopped with {cut} exchanges unfinished"));
    }
    management.stop(deadline);
    usage.stop(deadline);
    log.info("stopped");
    Ok(())
}

/// One line a listener, then `ready`: what scripts wait for.
fn announce(listeners: &[String]) {
    let mut lines: String = listeners.iter().map(|l| format!("listening on {l}\n")).collect();
    lines.push_str("ready\n");
    // Nobody may be there to read it.
    let _ = io::stdout().lock().write_all(lines.as_bytes());
    let _ = io::stdout().lock().flush();
}

/// `sd_notify(3)`, for managers that ask for it through `NOTIFY_SOCKET`.
struct ServiceManager(Option<UnixDatagram>);

impl ServiceManager {
    /// Connects while every socket can be reached: afterwards those without a path can't.
    fn look() -> ServiceManager {
        let connect = |name: &str| {
            let address = match name.strip_prefix('@') {
                Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
                None => SocketAddr::from_pathname(name)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address).map(|()| socket)
        };
        let name = std::env::var("NOTIFY_SOCKET").ok();
        ServiceManager(name.and_then(|name| io::Result::ok(connect(&name))))
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// Every connection is a descriptor; the soft limit of 1,024 is there for programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
