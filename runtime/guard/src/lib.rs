//! Where Eywa's outbound requests may go.
//!
//! Every URL that a manifest, a tool's result or a message brings in is judged here, by one [`Policy`], in two steps:
//!
//! 1. [`Policy::check_url`] judges what is written: scheme, user information, host. Its [`Target`] remembers on what
//!    grounds the host was let through.
//! 2. [`Policy::check_address`] judges every address that host resolved to, right before connecting to exactly that
//!    address. A name that is rebound between the two steps gains nothing.
//!
//! A redirect is a new URL and goes through both steps again. `GuardedClient`, behind the feature `client`, does all of
//! this for every request it makes.

mod address;
#[cfg(feature = "client")]
mod client;
mod policy;
#[cfg(feature = "client")]
mod resolve;

#[cfg(feature = "client")]
pub use self::{
    client::{GuardedClient, GuardedRequest, GuardedResponse, RequestError},
    resolve::Lookup,
};
/// The HTTP types in the client's signatures.
#[cfg(feature = "client")]
pub mod http {
    pub use reqwest::{Method, StatusCode, header};
}

/// The type of [`Policy::allow_cidrs`].
pub use ipnet::IpNet;

pub use self::{
    address::{AddressClass, METADATA_V4, METADATA_V6, classify},
    policy::{Grounds, Policy, Reason, Refusal, Target},
};
