//! Every deadline and every ceiling of the gate, with its reason.

pub(crate) mod eviction;
pub(crate) mod memory;
pub(crate) mod permits;
pub(crate) mod token_bucket;

use std::time::Duration;

use crate::util::descriptors;

/// From accept to a finished TLS handshake. Three round trips over a poor satellite link fit in.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// From accept to the end of a PROXY protocol header. A proxy sends it at once; its specification asks for three
/// seconds at least, so that a lost packet can be sent again.
pub(crate) const PROXY_HEADER: Duration = Duration::from_secs(10);

/// From the first byte of a request head to its last; a person typing into `openssl s_client` manages.
pub(crate) const HEAD: Duration = Duration::from_secs(20);

/// Until a WebSocket that will be rejected has sent its first data, which shows that its client reads.
pub(crate) const FIRST_DATA: Duration = Duration::from_secs(1);

/// Between two requests on one connection, and from accept to the first byte.
pub(crate) const IDLE: Duration = Duration::from_secs(75);

/// Without progress of a body in either direction while the client must send or read.
pub(crate) const BODY_PROGRESS: Duration = Duration::from_secs(60);

/// To connect to a service, which runs on this machine or near it.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// A WebSocket on which both sides are silent; live transcription is never silent for so long.
pub(crate) const TUNNEL_IDLE: Duration = Duration::from_secs(600);

/// A WebSocket that is silent for so long may be evicted when the request limit is reached. Client libraries
/// send pings three times as often, and nginx's `proxy_read_timeout` lets no tunnel be silent for longer.
pub(crate) const TUNNEL_SILENT: Duration = Duration::from_secs(60);

/// A client that has our last response may be silent for so long before we close: closing at once would reset
/// the connection and could destroy the response on its way (RFC 9112 section 9.6).
pub(crate) const LINGERING_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that has our last response may go on sending for so long: many clients send their whole upload before
/// they read a response.
pub(crate) const LINGERING_TIME: Duration = Duration::from_secs(30);

/// Bytes that are read in lingering close before other connections have their turn.
pub(crate) const LINGERING_BYTES_PER_TURN: usize = 1 << 20;

/// An idle connection to a service in the pool.
pub(crate) const UPSTREAM_IDLE: Duration = Duration::from_secs(30);

/// Descriptors of all connections to services. Those in use are limited by [`exchanges`]; idle connections have
/// the rest.
pub(crate) fn upstream_descriptors() -> usize {
    descriptors() / 2
}

/// Bytes in transit in each direction of an exchange.
pub(crate) const PROXY_BUFFER_BYTES: usize = 32 << 10;

/// How long a handler of the management API may take: a license call waits for the authority, but not for so long.
pub(crate) const MANAGEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A larger body of a request to the management API counts as large, see [`large_management_exchanges`]; so much is
/// read of a body that nothing takes, so that the connection can be kept.
pub(crate) const MANAGEMENT_BUFFER_BYTES: usize = 16 << 10;

/// Steps of an exchange, each of [`PROXY_BUFFER_BYTES`] at most, before other connections have their turn.
pub(crate) const STEPS_PER_TURN: usize = 4;

/// An event loop that has only handshakes and bulk work left yields to other threads and programs of this machine,
/// such as a speech engine, after so long: otherwise the kernel would let them wait for several milliseconds. Not
/// sooner: a program that is always busy takes a whole time slice of the kernel, some 3 ms, at each yield.
pub(crate) const BULK_SLICE: Duration = Duration::from_millis(1);

/// Local responses on one connection with pipelined requests before other connections have their turn.
pub(crate) const RESPONSES_PER_TURN: usize = 4;

/// Stack of a thread: a TLS handshake with a hybrid key exchange and its parsing stay under half of it.
pub(crate) const STACK_BYTES: usize = 256 << 10;

/// Threads for work that blocks: hashing a password or connecting to a service. They are shared out like the
/// permits of requests. A request that needs one beyond the limit gets 503.
pub(crate) const BLOCKING_THREADS: usize = 512;

/// Concurrent requests to services; at the limit, slow clients are evicted or new requests get 503. Each may
/// hold 220 kilobytes if both heads are huge and its client reads nothing, and all together have an eighth of
/// the memory; each holds a descriptor in addition to its client's, and they have three eighths of those.
pub(crate) fn exchanges() -> usize {
    (memory::bytes() / 8 / (220 << 10)).min(descriptors() / 8 * 3).clamp(16, 16_384)
}

/// Concurrent requests that this process answers itself. They have a limit of their own, so that a flood of other
/// requests cannot lock out the administrator, and an eighth of the connections, so that slow ones leave room.
pub(crate) fn management_exchanges() -> usize {
    (connections() / 8).clamp(4, 256)
}

/// Concurrent requests that this process answers itself and whose bodies are larger than
/// [`MANAGEMENT_BUFFER_BYTES`]: an eighth of the memory, if each is as large as the API takes.
pub(crate) fn large_management_exchanges() -> usize {
    (memory::bytes() / 8 / (1100 << 10)).min(management_exchanges()).max(4)
}

/// A client is slow if it moves fewer bytes a second on average. Apache's `mod_reqtimeout` has the same
/// minimum for a body.
pub(crate) const MIN_BYTES_PER_SECOND: u64 = 500;

/// A client is slow too if it has sent this many pieces with fewer than [`MIN_BYTES_PER_READ`] bytes on average.
/// Speech of 8,000 samples a second, sent fifty times a second, comes in pieces of 160.
pub(crate) const SLOW_READS: u64 = 32;

/// See [`SLOW_READS`].
pub(crate) const MIN_BYTES_PER_READ: u64 = 64;

/// Connections of all listeners together; at the limit, idle ones are evicted (see [`eviction`]). An idle one
/// holds nine kilobytes, and one in a huge head or handshake 73; all together have a fourth of the memory, if
/// each is of that size, and half of the descriptors.
pub(crate) fn connections() -> usize {
    (memory::bytes() / 4 / (73 << 10)).min(descriptors() / 2).max(16)
}

/// Descriptors for connections.
fn descriptors() -> usize {
    descriptors::limit().saturating_sub(SPARE_DESCRIPTORS).max(16)
}

/// Connections that the kernel may queue until we accept them.
pub(crate) const BACKLOG: i32 = 4_096;

/// Connections that are accepted before open connections have their turn.
pub(crate) const ACCEPTED_PER_TURN: usize = 64;

/// Handshakes that may wait for us on one listener before accepting pauses and new connections wait in the
/// kernel's queue; an eighth of all connections at most.
pub(crate) const MAX_PENDING_HANDSHAKES: usize = 128;

/// Descriptors kept free for files, services and the control socket.
pub(crate) const SPARE_DESCRIPTORS: usize = 64;

/// Different wrong passwords from one address within [`WRONG_PASSWORD_WINDOW`] before it has to wait.
pub(crate) const WRONG_PASSWORDS: usize = 10;

/// See [`WRONG_PASSWORDS`].
pub(crate) const WRONG_PASSWORD_WINDOW: Duration = Duration::from_secs(60);

/// Addresses whose wrong passwords are remembered, about 450 bytes each.
pub(crate) const TRACKED_ADDRESSES: usize = 10_000;

/// Requests that may wait for their password to be hashed, and as many from addresses with recent wrong
/// passwords. One password is hashed at a time, so that guessing never takes more than one core.
pub(crate) const HASH_QUEUE: usize = 16;

/// Requests in the hash queue with different credentials from one address.
pub(crate) const HASH_QUEUE_PER_ADDRESS: usize = 4;

/// Requests in the hash queue in all, if their credentials are queued already: one hash decides them all.
pub(crate) const HASH_QUEUE_TOTAL: usize = 256;
