//! The runtime's ports, asked over a real socket: in-memory stores, a scripted Oracle, and a stand-in for the Graph API.

#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, and does not see that all of this is one"
)]

mod events;
mod house;
mod pulses;
mod readiness;
mod webhooks;
