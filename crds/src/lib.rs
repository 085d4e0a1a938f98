//! Eywa's custom resources and the compiler from a Spirit to the runtime's configuration.
//!
//! - [`spirit`], [`conduit`], [`vigil`] and [`rite`] are the kinds; [`definitions`](mod@definitions) gives their
//!   CustomResourceDefinitions.
//! - [`compile`](mod@compile) turns a Spirit and what it refers to into a [`RuntimeConfig`](runtime_config::RuntimeConfig),
//!   or says what is wrong. The operator, `eywa up` and `eywa validate` share it.
//! - [`template`], [`expression`] and [`script`] are what manifests write in: checked when a Spirit is compiled, run by
//!   the runtime, by the same code.

pub mod compile;
pub mod conduit;
pub mod definitions;
pub mod duration;
pub mod expression;
pub mod facts;
pub mod labels;
pub mod manifest;
pub mod reference;
pub mod rite;
pub mod runtime_config;
mod schema;
pub mod script;
pub mod spirit;
pub mod template;
pub mod vigil;

pub use self::{conduit::Conduit, duration::Duration, rite::Rite, spirit::Spirit, vigil::Vigil};

/// The group of every kind.
pub const GROUP: &str = "eywa.dev";

/// The version of every kind.
pub const VERSION: &str = "v1alpha1";
