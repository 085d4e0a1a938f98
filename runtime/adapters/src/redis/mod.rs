//! What the Redis adapters share: the connection, the scripts, and the schema.
//!
//! # The schema
//!
//! Every key of one Spirit begins with `eywa:{namespace/spirit}:`. What stands in braces is the hash tag, so that all of
//! them are on one node of a cluster and a script may touch several. `S` is a session, written `voice/sender`; `P` a
//! Pulse's id; `T` a Vigil's target, a session or `*`.
//!
//! | key | type | what | ends |
//! |---|---|---|---|
//! | `bond:S` | string | the holder's token | with the Bond's TTL |
//! | `bond-line:S` | list | ids of the Pulses that wait, oldest first, at most 100 | 8 days after the last joined |
//! | `bond-fence` | integer | the last fence, over all sessions | never: one a Spirit |
//! | `inbox` | hash | id → the Pulse as JSON | when finished; 30 days after the last was accepted |
//! | `inbox-leases` | sorted set | id, by the µs when its lease ends | as `inbox` |
//! | `inbox-order` | sorted set | id, by the µs when it was accepted | as `inbox` |
//! | `inbox-attempts` | hash | id → attempts beyond the first | as `inbox` |
//! | `inbox-speech` | hash | id → 1 unknown, 2 spoken | as `inbox` |
//! | `seen:P` | string, empty | the id was accepted | after 8 days |
//! | `echoes:S` | list | Echoes as JSON, oldest first, at most 1000 | 90 days after the last |
//! | `echoes-ids:S` | list | ids of the last 100 | as `echoes:S` |
//! | `echoes-fence:S` | integer | the newest Bond that wrote | after a day |
//! | `conversations` | sorted set | S, by the µs of its last Echo, each another; at most 100,000 | 90 days after the last of all, or a day later |
//! | `conversations-last`, `conversations-names` | hash | S → its last message as JSON; the person's name | as `conversations` |
//! | `conversations-lengths` | hash | S → how many Echoes it ever had | as `conversations` |
//! | `chronicle:S` | list | entries as JSON, oldest first, at most 500 | 90 days after the last |
//! | `chronicle-pulse:P` | string | the session whose entries hold the Pulse's | 8 days after the last |
//! | `deeds:T` | sorted set | what people did, as JSON, by the ms, at most 500 | 90 days after the last |
//! | `memory:S` | string | what the session remembers, as JSON | with the Memory's TTL |
//! | `memory-fence:S` | integer | the newest Bond that wrote | after a day, or the Memory's TTL where that is longer |
//! | `heard:S` | string | the ms when the person last wrote, and the rest as JSON | 90 days after that |
//! | `attachments:S` | hash | id → a file: a line with its type, one with its name, its bytes; at most 32 MiB | a day after the last |
//! | `attachments-order:S` | list | their ids, oldest first | as `attachments:S` |
//! | `person:S` | string | of a person's id, the one that their session goes by | 400 days after it was last seen |
//! | `person-with-others:S` | string, empty | the id was seen with others of the person's | 400 days after that |
//! | `imprint:S` | sorted set | facts about the person, by the ms when they were last learnt, at most `maxFacts` | `maxAge` after the last was learnt |
//! | `imprint-heard:S` | integer | the number of the first Echo that no facts were drawn from | after 60 days |
//! | `imprint-due` | sorted set | S that facts are to be drawn from, by the ms from when on; some 1000 at most | 30 days after the last |
//! | `imprint-claims`, `imprint-attempts` | hash | S → the token of who draws; how often it was begun | as `imprint-due` |
//! | `imprint-progress` | hash | up to which place of `conversations` that was looked for (`reached`), and since which ms | 7 days after the last look |
//! | `message:V/M` | hash | of a message that was sent: `rank`, how far it has come; `pulse`, what it answered | after 8 days |
//! | `pace:S` | integer | the ms when the person could be written to again, had there been no burst | then |
//! | `tally-pulses:S`, `tally-tokens:S` | integer | a count | a window after its first addition |
//! | `rite:R` | hash | what is asked as JSON, and what became of it; times in ms | 16 days after it was parked |
//! | `rites`, `rites:S` | sorted set | ids, by the ms when they were parked | 16 days after the last |
//! | `rites-due` | sorted set | ids whose conversation is to hear of them, by the ms from when on | 16 days after the last |
//! | `vigil:T` | hash | the Watch; times in ms | 90 days after the last change, never while a human has it |
//! | `vigil-open` | sorted set | T that a human has or is asked to take, by the ms since; at most 10,000 | 90 days after the last |
//! | `vigil-noted:T` | sorted set | ids that are counted as unanswered, at most 10,000 | 8 days after the last, or with the takeover |
//! | `vigil-fence:S` | integer | the newest Bond that asked to speak | after a day |
//! | `vigil-speaking:S` | sorted set | fences that may speak, by the ms when they may no more | with the last permit |
//! | `vigil-speaking` | sorted set | `fence session` of all of them, the same way | with the last permit |
//!
//! A fence is forgotten after a day, since no Weave runs for so long. Nothing grows with the length of a conversation.
//! Leases, permits and TTLs run by the clock of Redis. Redis must not evict: set `maxmemory-policy noeviction`, and
//! `appendonly yes` for an Inbox that outlives it.
//!
//! # Round trips
//!
//! Each method is one round trip, but Chronicle's of_pulse, Echoes' latest and changed, Imprint's claim, and Vigil's open, which are two; calls that are made at the same time share one connection and are pipelined on it. What
//! Redis does for each, with `n` for the items of the call:
//!
//! | method | commands |
//! |---|---|
//! | Bond: acquire / acquire_or_wait / extend / line / release_or_next / release | 2 / 2 to 6 / 2 / 2 / 3 / 2, in a script |
//! | Bond: busy | 1 |
//! | Inbox: accept / reclaim / reclaim_one / claim | 4 + 4n / 4 + 4n / 7 / 1 + 4n, in a script |
//! | Inbox: renew / mark / finish / depth | 4 / 3 / 5, in a script / 3, pipelined |
//! | Echoes: append / recent / stretch | at most 20 + 3n, in a script / 1 / 3, in a script |
//! | Echoes: latest, changed / known | 1, then 3, pipelined / 4, pipelined |
//! | Chronicle: append / of_pulse / of_session | 4, in a script / 2 / 1 |
//! | Chronicle: did / deeds | 3, pipelined / 1 |
//! | Memory: recall / keep / tally | 1 / 3, in a script / 1 to 3, in a script |
//! | Memory: hear / last_heard | 2, in a script / 1 |
//! | Attachments: keep / load | 5 + 2n, in a script / 1 |
//! | Contacts: identify / sent, advance / pulse_of / pace | at most 2n + 2 / 2 to 3 / 1 / 3, in a script but pulse_of |
//! | Imprint: facts / amend, erase, conclude | 1 / 8 to 13 + n, in a script |
//! | Imprint: progress / advance | 3, pipelined / 5 + 2n, in a script |
//! | Imprint: claim / put_off | 2 + 3n, in a script, then 1 / 4, in a script |
//! | Rites: park / get / list, due | 13 / 1 / 1, then n, pipelined |
//! | Rites: decide / consume, void / conclude, settle | 4 / 4 / 3, in a script |
//! | Vigil: watch / state / open | 2, pipelined / 1 / 1, then n, pipelined |
//! | Vigil: answered | 2, in a script |
//! | Vigil: request, take_over, settle, release / note | 2 to 9 / 2 to 12, in a script |
//! | Vigil: begin_speaking / end_speaking | at most 13 / 2, in a script |

mod connection;
mod scope;
mod script;
mod servers;

use std::time::Duration;

use eywa_weave::StoreError;
use serde::{Serialize, de::DeserializeOwned};

pub use connection::{InvalidUrl, Redis};
pub use scope::Scope;
pub(crate) use script::{LazyScript, Script, script};

/// What stands in errors for this store.
pub(crate) const STORE: &str = "redis";

/// How long a fence is remembered: longer than any Weave runs.
pub(crate) const FENCE_REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time that is written: with the clock added to it, a script's numbers still count microseconds.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A duration in whole milliseconds, at least one: Redis refuses a TTL of zero.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// A duration in whole microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_micros()).unwrap_or(u64::MAX)
}

/// A value as JSON.
pub(crate) fn encode(value: &impl Serialize, key: &str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable(STORE, key, error))
}

/// A value from JSON.
pub(crate) fn decode<T: DeserializeOwned>(json: &str, key: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::unreadable(STORE, key, error))
}

/// A list of values from JSON.
pub(crate) fn decode_all<T: DeserializeOwned>(
    json: &[String],
    key: &str,
) -> Result<Vec<T>, StoreError> {
    json.iter().map(|json| decode(json, key)).collect()
}
