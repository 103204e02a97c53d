//! What a service manager and its services tell each other: `NOTIFY_SOCKET` of `sd_notify(3)` and
//! `LISTEN_FDS` of `sd_listen_fds(3)`.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use listenfd::ListenFd;

/// The service manager, told through `NOTIFY_SOCKET` if it asks for that.
pub(crate) struct ServiceManager(Option<UnixDatagram>);

impl ServiceManager {
    /// Connects before the sandbox, in which abstract sockets can't be reached.
    pub(crate) fn connect() -> ServiceManager {
        let connect_to = |name: &str| {
            let address = match name.strip_prefix('@') {
                Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
                None => SocketAddr::from_pathname(name)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address).map(|()| socket)
        };
        let name = std::env::var("NOTIFY_SOCKET").ok();
        ServiceManager(name.and_then(|name| io::Result::ok(connect_to(&name))))
    }

    /// Sends lines such as `READY=1`.
    pub(crate) fn notify(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(state.as_bytes());
        }
    }
}

/// Takes the sockets that the service manager has bound for this process, in order, each by `take`, and
/// removes the variables from the environment. Must be called before other threads exist, because they share
/// the environment.
///
/// # Errors
/// One line about a descriptor that `take` refuses; `advice` ends it.
pub(crate) fn passed_sockets<T>(
    advice: &str,
    mut take: impl FnMut(&mut ListenFd, usize) -> io::Result<Option<T>>,
) -> Result<Vec<T>, String> {
    // Without `LISTEN_PID` they may be inherited by mistake; listenfd would accept them.
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !ours {
        return Ok(Vec::new());
    }
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let taken = take(&mut passed, index).map_err(|error| {
            let name = format!("socket {} of {} from LISTEN_FDS", index + 1, passed.len());
            format!("{name} cannot be used: {error}; {advice}")
        })?;
        sockets.extend(taken);
    }
    Ok(sockets)
}
