//! From Vigil objects to who has each conversation, and back to the objects' status.
//!
//! An object's spec is an order, given once: the runtime carries a *generation* out once, and from then on the store says
//! who has the conversation and the status follows it. So a conversation that was given back for lack of activity stays
//! given back although its spec still says `takeover: true`; any edit of the spec is a new order. Two things are done
//! whatever the generation: a takeover that the store has never heard of, or has forgotten, is made again.
//!
//! A conversation can be taken over without an object: on the desk, or because the Spirit asked for a human. Then the
//! rota makes one, whose spec follows what is done, so that it can be given back by an edit; a generation that the
//! runtime wrote so is marked, and orders nothing. It is deleted a day after the release.
//!
//! Every pod of a Spirit does all of this, at the same time and without talking to the others. What keeps them from
//! getting in each other's way:
//!
//! - the store is changed first, by operations that do nothing when they were done before; the status is written second;
//! - a pod reads the object afresh before it changes who has a conversation, so that an order that was overtaken is not
//!   carried out late;
//! - a status is written only over the version of the object that it was made from, so that an old one never covers a new
//!   one;
//! - marks in the conversation have ids made from the takeover's time, so that they are written once.
//!
//! | file | what |
//! |---|---|
//! | `order` | what an object asks, out of its spec and status |
//! | `keeper` | carries one order out, against the Vigil port |
//! | `status` | what the object is told |
//! | `kept` | objects that the runtime makes |
//! | `rota` | all objects of a Spirit: which one counts for a conversation, when to look again |
//! | `noted` | tells the rota what this process does |
//! | `kubernetes` | objects that are in a cluster |

mod keeper;
mod kept;
#[cfg(feature = "vigil-kubernetes")]
pub mod kubernetes;
mod noted;
mod order;
mod rota;
mod status;

pub use keeper::Keeper;
pub use noted::{Noted, Notes};
pub use order::{InvalidOrder, Order};
pub use rota::{Announcement, Change, ObjectsError, Published, Rota, VigilObjects};
