//! The runtime's ports, asked over a real socket: in-memory stores, a scripted Oracle, and a stand-in for the Graph API.

mod house;
mod pulses;
mod readiness;
mod webhooks;
