//! Drops capabilities, prevents regaining any, and keeps other processes away from this process' memory.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Capabilities are numbered from 0 without a gap, and the kernel keeps them in 64 bits.
const MOST_CAPABILITIES: u32 = 64;

/// Empties the bounding set, which needs `CAP_SETPCAP`. A daemon that was not started as root lacks it and
/// keeps the set; then `no_new_privs` alone prevents regaining capabilities.
pub(crate) fn shrink_bounding_set() -> Result<(), String> {
    for number in 0..MOST_CAPABILITIES {
        // The kernel also accepts numbers that rustix has no name for.
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The first number that this kernel doesn't know; or no right to do so.
            Err(Errno::INVAL | Errno::PERM) => return Ok(()),
            Err(error) => {
                return Err(format!("cannot give up capability {number}: {error}"));
            }
        }
    }
    Ok(())
}

/// Empties all other sets, makes it impossible to gain rights by running a program, and keeps other
/// processes of the same user, and core dumps, away from the keys in memory.
pub(crate) fn give_up() -> Result<(), String> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    match clear_ambient_capability_set() {
        // Linux before 4.3 has no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => {
            return Err(format!("cannot give up ambient capabilities: {error}"));
        }
    }
    set_capabilities(None, sets)
        .map_err(|error| format!("cannot give up capabilities: {error}"))?;
    set_no_new_privs(true).map_err(|error| format!("cannot set no_new_privs: {error}"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| format!("cannot forbid core dumps: {error}"))
}
