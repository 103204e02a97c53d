//! Start-up and shutdown on one page: bind, confine, open the state, serve, drain.
//!
//! The composition root: only this file knows every room.

use std::error::Error;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::{CommandKind, Config, Serves};
use crate::gate::{Bound, Gate, Listeners};
use crate::helper;
use crate::helper::CommandHelper;
use crate::license;
use crate::log::Log;
use crate::management::{self, Context};
use crate::metrics::Metrics;
use crate::network::NetworkSettings;
use crate::sandbox;
use crate::security::{AcmeProxy, AcmeWorker, ExpiryReminder, SecuritySettings};
use crate::signals::{Signal, Signals};
use crate::util::service_manager::ServiceManager;
use crate::util::{descriptors, utc};

/// Time that requests in progress get to finish on SIGTERM.
const DRAIN: Duration = Duration::from_secs(9);

/// How often the end of the certificate is looked at.
const HOUR: Duration = Duration::from_secs(3600);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Why the daemon could not start, in one line.
pub(crate) fn run(config: Config, log: &Log) -> Result<(), Box<dyn Error>> {
    // First of all, because a start may take as long as making the key of a first certificate: a signal
    // that comes meanwhile is handled once the daemon is ready.
    let mut signals = Signals::listen().map_err(|e| format!("cannot catch signals: {e}"))?;
    descriptors::raise_limit();
    let config = Arc::new(config);

    let bound = Bound::all(&config.listen, log)?;
    let machine = license::Machine::detect(); // root alone may read all of it
    let manager = ServiceManager::connect();
    let helper = helper::start(&config.commands)?;
    sandbox::confine(&config, log)?;

    let mut security = SecuritySettings::open(&config.state_dir, config.api, log.clone())?;
    // A failure is logged, and an appliance without its own certificate still serves.
    let _ = security.set_acme_default(config.acme.clone());
    let security = Arc::new(security);
    let license = license::start(&config, security.folder(), &machine, log)
        .map_err(|e| format!("license: {e}"))?;
    signals.watch(&[&config.state_dir, &config.state_dir.join("tls")], log);
    let acme = acme_worker(&config, &security, &license, log);
    let helper = Arc::new(CommandHelper::new(helper, log)?);
    let network = network_settings(&config, &security, &helper, log)?;
    let context = Context {
        config: Arc::clone(&config),
        security: Arc::clone(&security),
        acme: Arc::clone(&acme),
        license: license.clone(),
        log: log.clone(),
        monitor: Arc::default(),
        metrics: Arc::new(Metrics::new(config.services.iter().map(|one| one.name.as_str()))),
        readiness: Arc::default(),
        helper,
        network,
        running: Arc::default(),
    };
    let management = management::start(&config.run_dir, context.clone())?;
    let usage = management::start_usage(&config.run_dir, license.clone(), log.clone())?;
    let gate = Gate::new(
        Arc::clone(&config),
        management::NetworkApi::new(context),
        Arc::clone(security.rules()),
        Arc::clone(security.identity()),
        Arc::clone(security.challenges()),
        Arc::clone(license.entitlement()),
        log.clone(),
    )?;
    let listeners: Vec<String> = bound.iter().map(Bound::describe).collect();
    let open = Listeners::start(Arc::new(gate), bound).map_err(|e| format!("cannot serve: {e}"))?;
    announce(&listeners);
    manager.notify("READY=1");
    acme.wake();

    let mut reminder = ExpiryReminder::default();
    loop {
        let now = utc::unix_seconds(SystemTime::now());
        let summary = &security.identity().snapshot().summary;
        if !security.acme().is_some_and(|acme| acme.renews(summary)) {
            reminder.remind(summary, now, log);
        }
        let signal =
            signals.wait(Some(HOUR)).map_err(|e| format!("cannot wait for signals: {e}"))?;
        match signal {
            None => {}
            Some(Signal::Reload) => {
                security.reload();
                acme.wake();
            }
            Some(Signal::Shutdown) => break,
        }
    }

    manager.notify("STOPPING=1");
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

/// The network's settings, if the image has a command for them.
fn network_settings(
    config: &Config,
    security: &SecuritySettings,
    helper: &Arc<CommandHelper>,
    log: &Log,
) -> Result<Option<Arc<NetworkSettings>>, String> {
    if !config.commands.has(CommandKind::Network) {
        return Ok(None);
    }
    let folder = Arc::clone(security.folder());
    let opened = NetworkSettings::open(folder, Arc::clone(helper), log.clone());
    opened.map(Some).map_err(|error| format!("network: {error}"))
}

/// The worker that fetches certificates, which knows the proxy of the license service and whether a listener can
/// answer http-01.
fn acme_worker(
    config: &Config,
    security: &Arc<SecuritySettings>,
    license: &license::Handle,
    log: &Log,
) -> Arc<AcmeWorker> {
    let serves_http = config.listen.iter().any(|one| !one.tls && one.serves == Serves::All);
    let license = license.clone();
    let proxy = move || match license.proxy() {
        Ok(proxy) => Ok(proxy.map(|proxy| AcmeProxy {
            address: proxy.address(),
            credentials: proxy.user.map(|user| (user, proxy.password.unwrap_or_default())),
        })),
        Err(error) => Err(error.to_string()),
    };
    AcmeWorker::new(Arc::clone(security), proxy, serves_http, log.clone())
}

/// Prints one line per listener, then `ready`, for scripts that wait for it.
fn announce(listeners: &[String]) {
    let mut lines: String = listeners.iter().map(|l| format!("listening on {l}\n")).collect();
    lines.push_str("ready\n");
    // Standard output may be closed.
    let _ = io::stdout().lock().write_all(lines.as_bytes());
    let _ = io::stdout().lock().flush();
}
