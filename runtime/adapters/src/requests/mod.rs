//! What Scouts and Actions over HTTP have in common: headers with places for what is known, and what is taken of a response.

mod headers;
mod pick;

pub use headers::{InvalidTemplate, TemplatedHeaders};
pub use pick::Pick;
