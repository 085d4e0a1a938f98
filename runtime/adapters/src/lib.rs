//! The adapters of Eywa's ports: a folder per port, a file per adapter, a cargo feature each.
//!
//! The traits, which are the contracts, live in [`eywa_weave::ports`]. Every store passes one suite of behaviours per
//! port, in `tests/stores/suites`; an adapter that passes it can take any other's place.

pub mod action;
pub mod attachments;
pub mod bond;
pub mod chronicle;
pub mod condition;
pub mod conduit;
pub mod contacts;
pub mod echoes;
pub mod embedder;
pub mod herald;
pub mod imprint;
pub mod inbox;
pub mod lore;
pub mod memory;
pub mod oracle;
pub mod pathfinder;
pub mod persona;
pub mod rite;
pub mod scout;
pub mod vigil;
pub mod voice;

#[cfg(feature = "in-memory")]
mod in_memory;
#[cfg(feature = "redb")]
#[cfg_attr(
    not(all(
        feature = "chronicle-redb",
        feature = "echoes-redb",
        feature = "inbox-redb",
        feature = "memory-redb",
        feature = "rite-redb",
        feature = "vigil-redb"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "one store alone does not use all that they share"
    )
)]
pub mod redb;
#[cfg(feature = "redis")]
#[cfg_attr(
    not(all(
        feature = "bond-redis",
        feature = "chronicle-redis",
        feature = "echoes-redis",
        feature = "inbox-redis",
        feature = "memory-redis",
        feature = "rite-redis",
        feature = "vigil-redis"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "one adapter alone does not use all that they share"
    )
)]
pub mod redis;

#[cfg(feature = "aws")]
#[cfg_attr(
    not(any(feature = "embedder-bedrock", feature = "oracle-bedrock")),
    allow(
        dead_code,
        unused_imports,
        reason = "what adapters share is checked without any of them too"
    )
)]
pub mod aws;
#[cfg(feature = "facts")]
pub mod facts;
#[cfg(feature = "google")]
#[cfg_attr(
    not(all(
        feature = "google-rest",
        any(feature = "embedder-vertexai", feature = "oracle-vertexai")
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "what adapters share is checked without any of them too"
    )
)]
pub mod google;
#[cfg(feature = "headers")]
pub mod headers;
#[cfg(feature = "mongodb")]
#[cfg_attr(
    not(all(feature = "chronicle-mongodb", feature = "echoes-mongodb")),
    allow(
        dead_code,
        unused_imports,
        reason = "one adapter alone does not use all that they share"
    )
)]
pub mod mongodb;
#[cfg(test)]
#[cfg(any(
    feature = "conduit-mcp",
    feature = "embedder-exchange",
    feature = "inbox-tasks",
    feature = "oracle-wire"
))]
mod rehearsal;
#[cfg(feature = "requests")]
pub mod requests;
#[cfg(feature = "standard-webhooks")]
pub mod standard_webhooks;
