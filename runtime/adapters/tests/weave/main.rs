//! The Weave, on in-memory adapters: what the design promises of the pipeline, and attempts to break it.

mod busy;
mod conversation;
mod crashes;
mod scene;
mod vigil;
