//! From Rites in the store to Rite objects, and from the decisions on those back.
//!
//! The store comes first: a call is parked there, decided there and made from there, whether or not there is an API server
//! to show it at. What is here makes an object for each Rite that waits, gives the word of whoever edits it to the Weave,
//! and writes what became of it into the status.
//!
//! Every pod of a Spirit does all of this without talking to the others: an object is made once since its name is taken
//! then, a decision counts once in the store, and a status is written only over the version of the object that it was made
//! from.
//!
//! | file | what |
//! |---|---|
//! | `object` | the object of a Rite, and its status |
//! | `ledger` | all Rites of a Spirit and their objects, looked through again and again |
//! | `kubernetes` | objects that are in a cluster |

#[cfg(feature = "vigil-kubernetes")]
pub mod kubernetes;
mod ledger;
mod object;

pub use ledger::{Ledger, Made, RiteObjects};
pub use object::object_name;
