//! The reconcilers and the elector, driven through scenarios against an API server in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking; clippy knows only functions marked #[test] as tests"
)]

mod api;
mod conduit;
mod leader;
mod lore;
mod spirit;
mod vigil;
