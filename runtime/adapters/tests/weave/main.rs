//! The Weave, on in-memory adapters: what the design promises of the pipeline, and attempts to break it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod aloud;
mod busy;
mod calls;
mod channel;
mod conversation;
mod crashes;
mod faults;
mod human;
mod imprint;
mod imprint_rights;
mod poison;
mod rite;
mod routes;
mod scene;
mod vigil;
