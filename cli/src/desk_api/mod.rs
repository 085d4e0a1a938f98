//! A desk's API, from the outside: the runtime's port 8081, in a cluster or of `eywa up`.

mod client;
mod events;
mod views;

pub(crate) use self::{
    client::{Desk, DeskError},
    events::Event,
    views::{Conversation, Conversations, Echo, Known, Rite, Trace},
};

/// The port of a runtime pod's desk.
pub(crate) const PORT: u16 = 8081;
