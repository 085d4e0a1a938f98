//! Voices: channels. The contract is [`eywa_weave::ports::voice`].

#[cfg(feature = "in-memory")]
mod in_memory;

#[cfg(feature = "in-memory")]
pub use in_memory::{InMemoryVoice, Said};

#[cfg(feature = "voice-http")]
mod http;
#[cfg(feature = "voice-whatsapp")]
mod whatsapp;

#[cfg(feature = "voice-http")]
pub use http::{
    Heard, HttpEnding, HttpPiece, HttpReply, HttpVoice, HttpVoiceSettings, TooManyWaiters, Waiter,
};
#[cfg(feature = "voice-whatsapp")]
pub use whatsapp::{InvalidWhatsApp, MediaSettings, Template, WhatsAppSettings, WhatsAppVoice};
