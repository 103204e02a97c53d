//! Every wait has a name and an end, every quantity from outside a ceiling. The reasons stand here.

pub(crate) mod client_prefix;
pub(crate) mod eviction;
pub(crate) mod memory;
pub(crate) mod permits;
pub(crate) mod token_bucket;

use std::time::Duration;

use crate::util::descriptors;

/// From accept to a finished TLS handshake. Three round trips over a poor satellite link fit in.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// From the first byte of a request head to its last; a person typing into `openssl s_client` manages.
pub(crate) const HEAD: Duration = Duration::from_secs(20);

/// Until a WebSocket that will be refused has said something, and so listens.
pub(crate) const FIRST_WORDS: Duration = Duration::from_secs(1);

/// Between two requests on one connection, and from accept to the first byte.
pub(crate) const IDLE: Duration = Duration::from_secs(75);

/// Without a byte of body moving in either direction while one is owed by the client.
pub(crate) const BODY_PROGRESS: Duration = Duration::from_secs(60);

/// To reach a service: it is on this machine or beside it.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// Seconds our own API may take: a license call waits for the authority, but not for so long.
pub(crate) const OWN_TIMEOUT: u32 = 60;

/// A WebSocket on which neither side says anything; live transcription is never silent for so long.
pub(crate) const TUNNEL_IDLE: Duration = Duration::from_secs(600);

/// After so long it has to make room for others, when all places are taken. Client libraries send pings
/// three times as often, and nginx's `proxy_read_timeout` lets no tunnel be silent for longer.
pub(crate) const TUNNEL_SILENT: Duration = Duration::from_secs(60);

/// A client that has our last answer may be silent for so long before we hang up on it: closing at
/// once would reset the connection and could destroy the answer on its way (RFC 9112 section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// And go on sending for so long: many a client sends its whole upload before it looks for an answer.
pub(crate) const LINGER_SENDING: Duration = Duration::from_secs(30);

/// Bytes of such a client that are read before others have their turn.
pub(crate) const LINGER_BYTES: usize = 1 << 20;

/// A connection kept to a service for the next request.
pub(crate) const SERVICE_IDLE: Duration = Duration::from_secs(30);

/// Descriptors of all connections to services and to ourselves: those in use have them, see [`exchanges`]
/// and [`own_exchanges`], and what they leave holds kept ones.
pub(crate) fn service_descriptors() -> usize {
    descriptors() / 2
}

/// Bytes on their way through, for each direction of an exchange.
pub(crate) const RELAY_BYTES: usize = 32 << 10;

/// Body of a request to the management API or monitoring: a certificate and a key have a few thousand.
pub(crate) const OWN_BODY_BYTES: u64 = 1 << 20;

/// What gathers of such a body before it goes on, if it is not complete before.
pub(crate) const GATHERED_BYTES: usize = 16 << 10;

/// Steps of an exchange, each of [`RELAY_BYTES`] at most, before others have their turn.
pub(crate) const RELAY_STEPS: usize = 4;

/// A port with nothing left but bulk work lets other programs of this machine, a speech engine say, go
/// first after so long: the kernel would let them wait for milliseconds.
pub(crate) const BULK_SLICE: Duration = Duration::from_micros(100);

/// Answers of ours on one connection, to requests sent without waiting, before others have their turn.
pub(crate) const ANSWERS_AT_ONCE: usize = 4;

/// Stack of a thread: a TLS handshake with a hybrid key exchange and its parsing stay under half of it.
pub(crate) const STACK_BYTES: usize = 256 << 10;

/// Threads that wait for something: each for a password to be hashed or to find a service, and shared out
/// as the places are. Beyond, requests that need one get 503.
pub(crate) const THREADS: usize = 512;

/// Requests on their way to services at once; beyond, slow ones make room or new ones get 503. Each may
/// hold 220 kilobytes if both heads are huge and its client reads nothing, and all together have an eighth
/// of the memory; each holds a descriptor beside its client's, and they have three eighths of those.
pub(crate) fn exchanges() -> usize {
    (memory::bytes() / 8 / (220 << 10)).min(descriptors() / 8 * 3).clamp(16, 16_384)
}

/// Of a connection to ourselves; two of them are tiny_http's.
pub(crate) const DESCRIPTORS_WITH_OURSELVES: usize = 3;

/// The same for requests that this process answers itself, so that no flood of others keeps out who
/// comes to stop it. With the large ones they have an eighth of the descriptors.
pub(crate) fn own_exchanges() -> usize {
    (descriptors() / 8 / 2 / DESCRIPTORS_WITH_OURSELVES).clamp(4, 256)
}

/// The same for those of them with bodies larger than [`GATHERED_BYTES`]: an eighth of the memory, were all
/// of them of [`OWN_BODY_BYTES`].
pub(crate) fn large_own_exchanges() -> usize {
    (memory::bytes() / 8 / (1100 << 10)).min(own_exchanges()).max(4)
}

/// Who makes a connection to ourselves while so many descriptors are in use would take what tiny_http needs
/// for those that wait to be accepted: two for each.
pub(crate) fn descriptors_with_ourselves() -> usize {
    let waiting = usize::from(descriptors::backlog()) + 1;
    descriptors::limit().saturating_sub(2 * waiting + 8)
}

/// RequestLimits, of ours or of the services, that are taken at once from who waits for nothing but a slow
/// client, when all are taken.
pub(crate) const EVICTED_AT_ONCE: usize = 32;

/// Bytes a second, on average: who moves less to or from a service is a slow client. Apache's
/// `mod_reqtimeout` wants as many of a body.
pub(crate) const SLOWEST: u64 = 500;

/// So is one that has moved so many pieces of fewer bytes on average. Speech of 8,000 samples a second, sent
/// fifty times a second, comes in pieces of 160.
pub(crate) const PIECES: u64 = 32;
pub(crate) const PIECE: u64 = 64;

/// Connections on all ports together; beyond, some make room (see `crowd`). An idle one holds nine
/// kilobytes, and one that is stuck in a huge head or handshake 73; all together have a fourth of the
/// memory, were they all such, and half of the descriptors.
pub(crate) fn connections() -> usize {
    (memory::bytes() / 4 / (73 << 10)).min(descriptors() / 2).max(16)
}

/// Descriptors for connections.
fn descriptors() -> usize {
    descriptors::limit().saturating_sub(SPARE_DESCRIPTORS).max(16)
}

/// Connections accepted before whoever is inside gets a turn.
pub(crate) const ACCEPTED_AT_ONCE: usize = 64;

/// Handshakes that may wait for us on one port before others may come in, which then wait in the kernel's
/// queue; an eighth of all connections at most.
pub(crate) const STRANGERS: usize = 128;

/// Descriptors kept free for files, services and the control socket.
pub(crate) const SPARE_DESCRIPTORS: usize = 64;

/// Different wrong passwords from one address within [`GUESS_WINDOW`] before it has to wait.
pub(crate) const GUESSES: usize = 10;

/// See [`GUESSES`].
pub(crate) const GUESS_WINDOW: Duration = Duration::from_secs(60);

/// Addresses whose guesses are remembered, about 450 bytes each.
pub(crate) const GUESSERS: usize = 10_000;

/// Requests that may wait for their password to be hashed, and as many from addresses that have guessed
/// wrong lately. One is hashed at a time, so that guessing never takes more than one core.
pub(crate) const HASHES_WAITING: usize = 16;

/// Of these, with different credentials from one address.
pub(crate) const HASHES_WAITING_OF_ONE: usize = 4;

/// Requests that may wait in all if their credentials wait already: one hash answers them.
pub(crate) const SAME_HASHES_WAITING: usize = 256;
