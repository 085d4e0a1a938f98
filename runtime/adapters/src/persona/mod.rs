//! Personas: who a Spirit is. The contract is [`eywa_weave::spirit::Persona`].

#[cfg(feature = "persona-template")]
mod template;

#[cfg(feature = "persona-template")]
pub use template::TemplatePersona;
