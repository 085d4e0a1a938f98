//! Every store, held to the contract of its port: one suite of behaviours a port, run on each adapter.

// What a test builds on may fail only because the test is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says so by panicking"
)]

mod in_memory;
#[cfg(all(
    feature = "chronicle-redb",
    feature = "echoes-redb",
    feature = "inbox-redb",
    feature = "memory-redb",
    feature = "vigil-redb"
))]
mod redb;
#[cfg(all(
    feature = "bond-redis",
    feature = "chronicle-redis",
    feature = "echoes-redis",
    feature = "inbox-redis",
    feature = "memory-redis",
    feature = "vigil-redis"
))]
mod redis;
mod suites;
