//! The desk, over HTTP.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod access;
mod conversations;
mod events;
mod handover;
mod imprint;
mod kubernetes;
mod office;
mod rites;
#[allow(
    dead_code,
    reason = "the stores' tests use all of it; the desk's need one that runs"
)]
#[path = "../../../adapters/tests/stores/redis/server.rs"]
mod server;
