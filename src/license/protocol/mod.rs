//! The license protocol: what an appliance and its license authority send each other.
//!
//! This page is the specification, complete enough for a second implementation. The modules here do no I/O
//! and read no clock.
//!
//! # Transport
//! A request is a `POST` of `application/json` to `/v1/license` below the authority's URL, over HTTP/1.1
//! without TLS. The body is sealed: the network and any proxy can read the envelope only.
//!
//! * Through a proxy the request target is in absolute form (RFC 9112 section 3.2.2), never `CONNECT`;
//!   credentials are Basic in `Proxy-Authorization` (RFC 7617). The proxy resolves the authority's name.
//! * The appliance also sends `Cache-Control: no-store` and `Accept-Encoding: identity`.
//! * One request per connection. Redirects are not followed. Proxy variables of the environment are not read.
//!   Limits: connection 10 s, the whole call 30 s, answer 65,536 bytes, its head 16 KiB.
//! * Status 200 carries a sealed answer, 422 an unsealed error. Any other status, a body that is not JSON or
//!   has no member `v`, is not from the authority and changes no state. 407 is a proxy's; 401 too, if a proxy
//!   is configured.
//! * The authority accepts `Content-Length` only (411 otherwise), at most 65,536 bytes (413), a head of at
//!   most 8,192 bytes and 100 fields (431), within 10 s. `GET /` answers `license authority`.
//!
//! # Encoding
//! JSON is RFC 8259. An object with the same member twice is refused; unknown members are ignored; a missing
//! member or one of the wrong type or range is refused, except where "optional" stands: there null and absent
//! mean none.
//!
//! | type | written as |
//! | --- | --- |
//! | count | whole number from 0 to 2^53-1 |
//! | time | whole number of either sign, -(2^53-1) to 2^53-1, seconds since 1970-01-01T00:00:00Z |
//! | base64url | RFC 4648 section 5, no padding; only the canonical form is accepted |
//! | digest | SHA-256, 64 lower-case hex digits; 64 zeros mean "none" |
//! | request id | 16 random bytes, 32 lower-case hex digits |
//! | key id | 1 to 4 of `a-z`, `0-9` |
//! | license code | 18 decimal digits; the first four are the customer id |
//! | computer id | UUID in lower case, 36 characters |
//! | text(n) | string of at most n bytes of UTF-8 |
//!
//! Lengths are bytes. `\0` is one zero byte, `||` concatenation. All seconds of speech are counts.
//!
//! # Keys
//! | key | algorithm | use |
//! | --- | --- | --- |
//! | root | Ed25519 (RFC 8032) | signs bundles; its public half is in the trust file |
//! | issuer | Ed25519 | signs leases, license certificates, return receipts |
//! | request key | X25519 (RFC 7748) | the authority opens requests with it |
//! | device | Ed25519 | signs every request of one appliance; made at its first start |
//!
//! Public keys are 32 bytes in base64url. A device is named by its fingerprint, SHA-256 of those bytes. This
//! authority names issuers `i1`, `i2`…, request keys `k1`, `k2`…, the root `r1`; each key is valid from one
//! day before it is made, for 3 years of 365 days from then; a bundle for 6 years.
//!
//! The computer id is the first 16 bytes of HMAC-SHA256 under the key `appliance-license/1 computer-id` over
//! `product_uuid || \0 || machine_id` (both trimmed, lower case, empty if unusable), with version 8 and
//! variant set (RFC 9562 section 5.8). A machine with neither uses 16 random bytes and keeps them. The
//! authority only compares it.
//!
//! # Tokens
//! A token is a signed statement, at most 65,536 bytes:
//!
//! ```text
//! token  = kid "." base64url(payload) "." base64url(signature)
//! signed = "appliance-license/1/" type "\0" kid "\0" payload
//! ```
//!
//! `payload` is a JSON object, signed byte for byte as sent. `signature` is Ed25519, 64 bytes. The verifier
//! states the `type` it expects; nothing in a token selects a type or an algorithm.
//!
//! | type | signed by | payload |
//! | --- | --- | --- |
//! | `bundle` | root | [bundle](#trust-file-and-bundle) |
//! | `lease` | issuer | [lease](#lease-and-receipt), for an answer over the network |
//! | `license-cert` | issuer | lease, for a license certificate |
//! | `return-receipt` | issuer | [receipt](#lease-and-receipt) |
//!
//! # Trust file and bundle
//! The trust file is part of the appliance's image: `{"v":1,"roots":[{"kid","pub"}…],"bundle":TOKEN}`. Roots
//! stand in the order of their succession.
//!
//! | member of a bundle | type | meaning |
//! | --- | --- | --- |
//! | `v` | count | 1 |
//! | `seq` | count | number of the bundle |
//! | `exp` | time | the bundle is not valid from then on |
//! | `issuers` | array of `{"kid","pub","nbf","exp"}` | issuer keys |
//! | `kems` | array of the same | request keys |
//! | `revoked` | array of key ids | withdrawn keys of either kind |
//!
//! A key is valid from `nbf` (included) to `exp` (excluded). A bundle replaces the one in force if its root
//! stands later in the trust file, or if the root is the same and `seq` is higher. Its dates are not checked
//! then. Newer bundles arrive in answers and in license certificates.
//!
//! An issuer's signature on something new counts if the bundle in force names the key, does not revoke it,
//! and key and bundle are valid at that time: `server_time` for an answer; for a certificate the later of its
//! `iat` and the appliance's time without the soft floor. When a kept token is read again, the key must be
//! named and not revoked. To seal a request, keys that are valid now come first, younger before older;
//! revoked ones are not used.
//!
//! # Request
//! The envelope is `{"v":1,"kid","enc","ct"}`: `kid` names the request key, `enc` (32 bytes) and `ct` are
//! base64url. Another `v` is refused.
//!
//! ```text
//! suite     = HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256) 0x0020,
//!             HKDF-SHA256 0x0001, AES-256-GCM 0x0002
//! info      = "appliance-license/1 request" "\0" "v=1;kid=" kid ";suite=0020-0001-0002"
//! aad       = empty
//! plaintext = {"b": BODY, "s": base64url(Ed25519(device, "appliance-license/1/device" "\0" BODY))}
//!             followed by spaces up to a multiple of 256 bytes
//! ```
//!
//! `BODY` is a JSON object, carried as a string. A retry has the same `BODY` except for `rk`, and a new HPKE
//! context. If the authority answers `unknown kid`, the next request key is tried, all within 30 s.
//!
//! | member | type | meaning |
//! | --- | --- | --- |
//! | `op` | `activate`, `sync`, `return`, `probe` | see below |
//! | `req_id` | request id | new for each question, the same for its retries |
//! | `ts` | time | when the question was made; never a reason to refuse |
//! | `license` | license code; may be empty for `probe` | which license |
//! | `product` | text(16) | product number of the image |
//! | `version` | text(256) | version of the image |
//! | `computer_id` | computer id | this computer |
//! | `prev_computer_id` | computer id, optional | the computer of the last grant, if it was another |
//! | `device_pub` | public key | verifies `s` |
//! | `epoch` | count | of the last lease or receipt; 0 if none |
//! | `seq` | count | of the last lease; 0 if none |
//! | `prev` | digest | SHA-256 of the last lease or certificate token's text; zeros if none |
//! | `consumed` | count, seconds | used in this epoch |
//! | `granted` | count, seconds | granted in this epoch; informative |
//! | `want` | count, seconds | most the appliance wants to hold; 2147483647 is "as many as I may" |
//! | `mode` | `online`, `offline` | whether it will ask again |
//! | `log_head` | digest | last line of the appliance's usage log; informative |
//! | `clock` | `{"wall": time, "regressions": count}` | own clock; steps back of over a day |
//! | `bundle_seq` | count | `seq` of the bundle in force |
//! | `instead_of` | request id, optional | unanswered activation that this one replaces |
//! | `user` | `{"username","email_address","company_name"}`, text(256) each | may be empty |
//! | `rk` | base64url, 32 bytes | fresh random key for the answer |
//!
//! `activate` asks for a seat and first seconds, `sync` for more seconds and for changes of the license,
//! `return` gives seat and unused seconds back, `probe` asks for a sign of life.
//!
//! # Answer
//! Status 200: `{"v":1,"ct": base64url(nonce || AES-256-GCM(rk, nonce, aad, ANSWER))}` with a random nonce of
//! 12 bytes and the tag of 16 bytes at the end. `aad` is `"appliance-license/1 response" || \0 || DIGEST`,
//! where `DIGEST` is SHA-256 (32 bytes) of the HTTP body of the request.
//!
//! Status 422: `{"v":1,"error":TEXT}`, at most 256 bytes. It is shown to a person and changes no state.
//! `unknown kid` means that the authority lacks the request key.
//!
//! | member of `ANSWER` | type | meaning |
//! | --- | --- | --- |
//! | `ok` | boolean | false for `denied` and `stale`; not read |
//! | `req_id` | request id | that of the request; another one is refused |
//! | `server_time` | time | the authority's clock |
//! | `kind` | see below | what happened |
//! | `token` | token, optional | lease or receipt |
//! | `returned` | count, seconds | what went back; 0 unless `returned` |
//! | `bundle` | token, optional | present if the request's `bundle_seq` is lower |
//! | `code` | whole number | status number with a denial; 0 otherwise |
//! | `reason` | text(256) | word of a denial; empty otherwise |
//! | `message` | text(1024) | for the administrator; may be empty |
//!
//! | kind | meaning | token |
//! | --- | --- | --- |
//! | `lease` | granted; after `activate` it begins an epoch | lease |
//! | `reset` | accounts did not match: a new epoch with nothing consumed; the old one was charged | lease |
//! | `returned` | seconds and seat are back | receipt |
//! | `denied` | refused, nothing changed | none |
//! | `stale` | answered before, and others since; drop the question and ask anew | none |
//! | `probe` | sign of life | none |
//!
//! An answer is believed if it opens, its `req_id` matches, it came within 120 s of sending by a clock that
//! runs while the machine sleeps, and its token verifies and has the request's `license`, `computer_id` and
//! `req_id` and this device's fingerprint. Otherwise nothing changes and the same question may be asked
//! again.
//!
//! | reason | code | meaning | remembered |
//! | --- | --- | --- | --- |
//! | `unknown_license` | -50 | no such license, or not for this product | no |
//! | `too_many_tries` | -50 | an unknown code after 10 others within an hour from that place, or step 4 below | `activate` |
//! | `license_suspended` | -114 | may be resumed | yes |
//! | `license_revoked` | -114 | for good | yes |
//! | `subscription_expired` | -116 | past `exp + grace` | yes |
//! | `activations_exceeded` | -115 | no seat is free | yes |
//! | `duplicate_device` | -117 | no open seat of this device and epoch | no |
//! | `too_many_takeovers` | -117 | 3 takeovers by this computer within 30 days | yes |
//! | `offline_not_allowed` | -3 | `mode` `offline` without permission | yes |
//! | `totals_went_back` | -117 | offline renewal with a lower `consumed` than known | yes |
//! | `authority_unavailable` | 0 | not an answer: keep the question and ask it again | no |
//!
//! A remembered denial is given again to the same `req_id`. A reason that is not known is still a denial. A
//! place is an IPv4 address or an IPv6 /64; a device that has held a seat of the license is not limited.
//!
//! # Lease and receipt
//! | member of a lease | type | meaning |
//! | --- | --- | --- |
//! | `license`, `customer_id`, `product` | license code, count, text(16) | what was sold |
//! | `computer_id`, `device`, `req_id` | computer id, digest, request id | for whom, answering what |
//! | `epoch` | count | accounting period of this device, from 1 |
//! | `seq` | count | number of the answer in the epoch, from 1 |
//! | `granted` | count, seconds | granted in this epoch in all, used ones included |
//! | `allocated` | count, seconds | of the whole license; 2147483647 is unlimited |
//! | `pool_left` | count, seconds | not granted to anyone; 2147483647 if unlimited |
//! | `cache` | count, seconds | most that is held online |
//! | `kind` | count | 2 trial, 6 concurrent subscription; 5 subscription is understood |
//! | `features` | array of strings | empty today |
//! | `exp` | time | end of the subscription |
//! | `grace` | count, seconds | work continues after `exp`, with a warning |
//! | `lease_exp` | time | end unless renewed: `iat` + lease time, at most `exp + grace`, which it is offline |
//! | `iat` | time | when it was made |
//! | `offline_mode` | boolean | offline mode is permitted |
//! | `offline_secs` | count, seconds | most that is held offline; 0 if not permitted |
//! | `offline_until` | time | end of offline mode; 0 if not permitted |
//! | `bundle` | token, optional | in a license certificate, if the appliance's bundle is older |
//!
//! A receipt has `license`, `computer_id`, `device`, `req_id`, `epoch` (the one that it closes), `returned`
//! (count, seconds) and `iat`, of the same types.
//!
//! Defaults of this authority: grace 7 days, lease time 30 days.
//!
//! # Certificates
//! The same messages as text, carried by hand: one line of lower-case hex digits.
//!
//! ```text
//! offset  bytes  content
//! 0       4      "LAC1" activation, "LCC1" license, "LRC1" return certificate
//! 4       2      length of the body, big-endian
//! 6       n      body
//! 6+n     4      first four bytes of SHA-256 of everything before
//!
//! body of LAC1 and LRC1: kid (4 bytes, filled up with zero bytes) || enc (32 bytes) || ct
//! body of LCC1:          text of a license-cert token
//! ```
//!
//! A reader drops U+FEFF and U+200B, then lines that begin with `-----`, white space, and the case of the
//! digits. The text has at most 65,536 bytes, so a body has at most 32,758. The checksum only distinguishes
//! "damaged on its way" from "not genuine".
//!
//! * Activation: a sealed request with `op` `activate` and `mode` `offline`; a renewal is `sync`. The answer
//!   is a license certificate whose `req_id` is the request's. Signing the same one twice gives the same
//!   answer. It is awaited for 30 days, over restarts; until then, asking again gives the same text.
//! * Return: a sealed request with `op` `return`. The appliance is unlicensed before it shows the text. The
//!   authority credits it once.
//!
//! # Accounting at the authority
//! All seconds are running totals, so a message that is applied twice changes nothing. A license has `left`
//! and `charged`; each device key has at most one activation with `computer_id`, open or closed, `epoch`,
//! `seq`, `last` (digest of its last token), `granted`, `consumed`. Always, unless unlimited:
//!
//! ```text
//! left + sum(granted of open activations) + charged = allocated
//! outstanding = granted - consumed
//! close(unused): charged += granted - unused; left += unused; the activation is closed
//! target = min(want, cache) online, min(want, offline_secs) offline
//! fits   = epoch, seq equal and prev = last, and known consumed <= request's consumed <= granted
//! ```
//!
//! `probe` is answered without looking at a license. For the others, the first of these that applies, under
//! the license's lock, and on disk before the answer leaves:
//!
//! 1. If `req_id` is that of the device's last answer: that answer again, with a new `server_time` (and
//!    signed anew if its issuer was revoked since; then both digests count as `last`).
//! 2. If `req_id` is a remembered denial (of the last 1,000): that denial.
//! 3. If `req_id` was answered in this epoch, or is that of an `activate` ever seen: `stale`.
//! 4. If wrong codes come from there without a pause, and this device never held a seat: `too_many_tries`.
//! 5. `activate`: product, status, `exp + grace`, `mode`, and at most 100,000 activations ever. Open
//!    activations of this device or this computer are "own". None: a free seat, or `activations_exceeded`.
//!    Exactly one that fits, same device and computer: it is closed with its outstanding seconds coming back.
//!    Otherwise a **takeover**: all are closed with nothing coming back, at most 3 per computer within 30
//!    days. Then a new epoch begins with `min(target, left)` seconds. `instead_of` is remembered as seen, so
//!    that it can't be answered later.
//! 6. `sync`, `return`: an open activation of this device and epoch, or `duplicate_device`.
//!    * A request that is `ids` answers or more behind is `duplicate_device` too, because so many ids of an
//!      epoch are remembered: 10,000,000 / seats, at least 1,000, at most 10,000.
//!    * A new `computer_id` is a **move** if `prev_computer_id` is the known one, at most 3 within 30 days,
//!      and no open activation has the new one; otherwise `duplicate_device`.
//!    * `sync` is checked for status, end and `mode`. `return` is not, so seconds can always go back.
//!    * If the request does not fit, the appliance is a copy or was restored: close with nothing coming
//!      back, begin a new epoch, answer `reset` (also to `return`).
//!    * If it fits, `consumed` is taken over. `return` closes with the outstanding seconds coming back;
//!      `sync` grants `min(left, max(0, target - outstanding))` more.
//! 7. Each lease raises `seq` by one. A new epoch is the device's last one plus 1, with `seq` 0 before its
//!    first lease.
//!
//! # Accounting at the appliance
//! Totals of one epoch: `granted` (from the lease), `consumed`, `held` (reserved by running sessions). What
//! may be reserved is `granted - consumed - held`. Every change is on disk before it counts.
//!
//! * Reserve grants `min(wanted, allowed)`; with nothing left it is refused. A repeated sequence number gets
//!   its old answer. At most 4,096 sessions are open and 4,096 answers of each are remembered.
//! * Settle charges what was used, as far as there are seconds, and frees the rest. A second settle, or one
//!   of an unknown session (256 settled ones are remembered) or an earlier epoch, charges nothing.
//! * Interim charge: before more seconds are fetched, all blocks of a session but its latest 2 become
//!   `consumed`, because a session that reserves more has used what came before. They are not given back.
//! * At a start and before a return, `held` becomes `consumed`. A session that reserved nothing for 24 h is
//!   charged what it held.
//! * A lease that begins an epoch (`activate`, `reset`, another `epoch`) sets `consumed` and `held` to 0.
//! * More is asked for when `allowed < cache / 2`, `pool_left > 0`, the license is online, and seconds were
//!   used that the authority has not heard of.
//!
//! # States
//! A question is on disk before it is sent, and stays there until its answer is on disk. At a start it is
//! sent again first. If it is certain that no connection was made, it is withdrawn.
//!
//! | state | entered by | left by |
//! | --- | --- | --- |
//! | unlicensed | start, `returned`, denied or stale `activate` | `activate`, license certificate |
//! | activating | `activate` sent | `lease`, denial, `stale` |
//! | online | `lease`, `reset`, end of offline mode | the states below |
//! | offline mode | administrator, `offline_mode` true; a last `sync` with `mode` `offline` | administrator |
//! | offline certificate | license certificate | return certificate |
//! | returning | `return` sent | `returned`, `stale`, denial |
//! | refused | -114, -116, -117 to `sync`, `return`; issuer revoked: -5 | `sync` (not for -117), `activate` |
//! | damaged, unreadable | state file does not verify, or can't be read | `activate`, license certificate |
//!
//! * A denied `activate` leaves an existing state as it is. Any other denial of `sync` changes no state; of
//!   `return`, back to online. `unknown_license` to `return` counts as returned with 0 seconds.
//! * `unknown_license` to `sync` ends nothing: the license holds until its signed dates.
//! * `stale` leaves online as it is, makes returning unlicensed, and any other state refused with -117.
//! * Offline states send nothing, not even `probe`.
//! * Silence is never an answer: without one the license holds until `lease_exp`, or offline until the later
//!   of `lease_exp` and `offline_until`, and in either case until `exp + grace`.
//! * `sync` is sent at a start and then every 6 h plus or minus 10 %. Without an answer it is repeated after
//!   1, 4, 15, 60, then every 900 s; every 60 s at the latest while the license allows no work. Answers that
//!   leave it so are followed by pauses of 1, 15, 60, 900, 3,600 s.
//!
//! # Time
//! The appliance's time is the latest of its wall clock, a hard floor and a soft floor. Both floors rise with
//! `CLOCK_BOOTTIME`. The soft floor follows the wall clock while both clocks agree within 600 s per step. A
//! step back of more than 86,400 s is counted in `regressions`; no license ends because of it.
//!
//! * `server_time` of an answer sets the hard floor, also backwards: to the nearest value in `server_time` …
//!   `server_time + (seconds since the question) + 2`. The soft floor follows.
//! * A certificate's `iat` never lowers the hard floor. The soft floor is then set to the hard floor.
//! * The HTTP `Date` is never used.
#![doc = include_str!("examples.md")]

pub mod certificate;
pub mod claims;
pub mod fields;
pub mod hex;
pub mod key;
pub mod message;
pub(crate) mod object;
pub mod random;
pub mod token;
pub mod trust;
pub mod wire;

/// Begins every string that is signed or bound, so that a signature is not valid for another purpose.
pub(crate) const PROTOCOL: &str = "appliance-license/1";
