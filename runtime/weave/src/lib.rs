//! The domain of Eywa.
//!
//! A [`Weave`] takes each [`Pulse`], one inbound event, through one pipeline:
//!
//! ```text
//! Voice.receive → Inbox → Bond → Vigil? → Scouts → Pathfinder → Spirit → Oracle ⇄ Actions → Vigil? → Voice.speak
//! ```
//!
//! Everything the pipeline needs from outside is a trait in [`ports`]; this crate knows no database, no HTTP, no
//! Kubernetes and no model provider, and a test holds its dependencies to an allow-list. Read [`Weave::weave`] first: it
//! is the whole pipeline on one screen.

pub mod builtin;
pub mod echo;
pub mod error;
pub mod handover;
pub mod imprint;
pub mod names;
pub mod observe;
pub mod ports;
pub mod pulse;
pub mod spirit;
pub mod tool;
pub mod weave;

pub use echo::{Echo, EchoBody};
pub use error::StoreError;
pub use handover::Handover;
pub use names::{PulseId, SessionKey, SpiritName, UserId, VoiceName};
pub use pulse::{Content, Pulse, User};
pub use spirit::Spirit;
pub use weave::{Weave, WeaveBuilder};
