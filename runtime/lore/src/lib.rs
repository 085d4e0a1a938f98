//! Bringing documents into [Lore](eywa_weave::ports::lore): they are [read](documents), [cut](chunks) into passages,
//! [identified](passages) by what they say, and [brought in](sync) so that only what has changed is embedded.
//!
//! `eywa lore sync`, `eywa up` and the `ingest` of `eywa-runtime` are this with different [libraries](library).

pub mod chunks;
pub mod documents;
pub mod library;
pub mod passages;
pub mod sync;
