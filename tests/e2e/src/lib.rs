//! What the end to end tests stand on: a cluster with Eywa installed, a place of its own for each scenario, and stand-ins
//! for the services that a Spirit talks to.
//!
//! Everything here fails by panicking with what it wanted, for how long it waited, and what it saw last: a failing
//! assertion is the only error that a test has.

pub mod bell;
pub mod cluster;
pub mod desk;
pub mod graph;
pub mod hold;
pub mod kubectl;
pub mod metrics;
pub mod model;
pub mod node;
pub mod plugin;
pub mod prometheus;
pub mod redis;
pub mod scene;
pub mod server;
pub mod spirit;
pub mod till;
pub mod wait;
pub mod weaviate;
pub mod webhook;
pub mod workshop;

pub use self::{hold::Held, scene::Scene, wait::eventually};
