//! Actions that need nothing from outside: what they do, they ask of the session by their [effects].
//!
//! [effects]: crate::ports::action::Effect

mod remember;
mod summon_human;
mod switch_spirit;

pub use remember::Remember;
pub use summon_human::SummonHuman;
pub use switch_spirit::SwitchSpirit;
