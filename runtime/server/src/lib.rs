//! The runtime of Eywa: HTTP surfaces, wiring, metrics.
//!
//! One process serves one or more *front* Spirits, each with those that it routes to. [`wiring::wire`] makes a
//! [`serving::Serving`] of a configuration; a [`roster::Roster`] holds all that are served; [`http`] and [`admin`] are the
//! ports, and [`serve`] bounds them. `eywa-runtime` does this for one Spirit in a pod; `eywa up` for all of a folder.

#[cfg(feature = "vigil-kubernetes")]
pub mod adapters_ready;
pub mod admin;
mod backoff;
pub mod credentials;
#[cfg(feature = "desk")]
pub mod desk;
pub mod http;
#[cfg(feature = "ingest")]
pub mod ingest;
pub mod metrics;
#[cfg(feature = "vigil-kubernetes")]
mod owner;
pub mod readiness;
pub mod rites;
pub mod roster;
pub mod secrets;
pub mod serve;
pub mod serving;
pub mod vigils;
pub mod wiring;
