//! Conditions: whether something holds of a Pulse. The contract is [`eywa_weave::spirit::Condition`].

#[cfg(feature = "condition-cel")]
mod cel;

#[cfg(feature = "condition-cel")]
pub use cel::CelCondition;
