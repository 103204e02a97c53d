//! Start-up and shut-down, told once: bind, drop privileges, open the state, serve, drain.
//!
//! The composition root: it alone knows every room.

use std::io::{self, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::gate::{Bound, Gate, Open};
use crate::license;
use crate::log::Log;
use crate::management::{self, Context};
use crate::privileges::User;
use crate::security::Keeper;
use crate::wishes::{Wish, Wishes};

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// One line that says why it could not start.
pub fn run(config: Config, log: &Log) -> Result<(), String> {
    raise_descriptor_limit();
    let config = Arc::new(config);

    let bound = config.listen.iter().map(Bound::new).collect::<Result<Vec<_>, _>>()?;
    let machine = license::Machine::look(); // root alone may read all of it
    drop_privileges(&config, log)?;

    let keeper = Arc::new(Keeper::open(&config.state_dir, config.api, log.clone())?);
    let license = license::start(&config, keeper.folder(), &machine, log)?;
    let tls_dir = config.state_dir.join("tls");
    let mut wishes = Wishes::listen(&[&config.state_dir, &tls_dir])
        .map_err(|e| format!("cannot catch signals: {e}"))?;
    let context = Context {
        config: Arc::clone(&config),
        keeper: Arc::clone(&keeper),
        license: license.clone(),
        log: log.clone(),
        monitor: Arc::default(),
        turns: Arc::default(),
    };
    let management = management::start(&config.run_dir, context)?;
    let usage = management::start_usage(&config.run_dir, license.clone(), log.clone())?;
    let gate = Gate::new(
        Arc::clone(&config),
        &config.control_socket(),
        Arc::clone(keeper.rules()),
        Arc::clone(keeper.identity()),
        Arc::clone(license.standing()),
        log.clone(),
    )?;
    let listeners: Vec<String> = bound.iter().map(Bound::describe).collect();
    let open = Open::start(Arc::new(gate), bound).map_err(|e| format!("cannot serve: {e}"))?;
    announce(&listeners);

    while wishes.wait().map_err(|e| format!("cannot wait for signals: {e}"))? == Wish::Reload {
        keeper.reload();
    }

    tell_service_manager("STOPPING=1");
    log.info("stopping: requests in flight may finish");
    let cut = open.drain();
    if cut > 0 {
        log.warn(format_args!("stopped with {cut} exchanges unfinished"));
    }
    drop((management, usage));
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
    tell_service_manager("READY=1");
}

/// `sd_notify(3)`, for managers that ask for it through `NOTIFY_SOCKET`.
fn tell_service_manager(state: &str) {
    let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match name.strip_prefix('@') {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}

/// Every connection is a descriptor; the soft limit of 1,024 is there for programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn drop_privileges(config: &Config, log: &Log) -> Result<(), String> {
    match &config.user {
        Some(name) => User::find(name)?
            .become_for_good(&[(&config.state_dir, 0o700), (&config.run_dir, 0o755)]),
        None => {
            if rustix::process::geteuid().is_root() {
                log.warn(
                    "running as root: set \"user\" in the settings to give that up after binding",
                );
            }
            Ok(())
        }
    }
}
