//! The Kubernetes operator of Eywa.
//!
//! It watches Spirits, Conduits and Vigils. Each kind is a folder whose files are the steps of its reconcile, in this
//! order:
//!
//! 1. `dereference` reads what the object refers to,
//! 2. `validate` decides what is right and what is wrong, without reading anything,
//! 3. `build` makes the children, without reading anything,
//! 4. `apply` writes the children that are not already so,
//! 5. `status` says what came of it.
//!
//! What runs goes on running when something is wrong: a Spirit whose Secret is gone keeps its last good pods, and its
//! conditions say what to fix. A reconcile that changes nothing writes nothing.

pub mod admin;
pub mod apply;
pub mod conditions;
pub mod conduit;
pub mod context;
pub mod controller;
pub mod controllers;
pub mod error;
pub mod events;
pub mod leader;
pub mod metrics;
pub mod pods;
pub mod references;
pub mod retry;
pub mod settings;
pub mod spirit;
pub mod status;
pub mod vigil;
