//! What the Weave needs from outside, a trait each. A trait's documentation is a contract: every adapter, the in-memory
//! ones too, passes one suite of behaviours that holds it to this.

pub mod action;
pub mod attachments;
pub mod bond;
pub mod chronicle;
pub mod conduit;
pub mod contacts;
pub mod echoes;
pub mod herald;
pub mod imprint;
pub mod inbox;
pub mod lore;
pub mod memory;
pub mod oracle;
pub mod pathfinder;
pub mod rite;
pub mod scout;
pub mod vigil;
pub mod voice;

pub use action::Action;
pub use attachments::Attachments;
pub use bond::Bond;
pub use chronicle::Chronicle;
pub use conduit::Conduit;
pub use contacts::Contacts;
pub use echoes::Echoes;
pub use herald::Herald;
pub use imprint::Imprint;
pub use inbox::Inbox;
pub use lore::{Embedder, Lore};
pub use memory::Memory;
pub use oracle::Oracle;
pub use pathfinder::Pathfinder;
pub use rite::Rites;
pub use scout::Scout;
pub use vigil::Vigil;
pub use voice::Voice;
