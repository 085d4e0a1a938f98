//! A Spirit's voices.

use std::sync::Arc;

#[cfg(feature = "voice-http")]
use eywa_adapters::voice::HttpVoice;
use eywa_crds::runtime_config::{CompiledChannel, CompiledHttp, CompiledSpirit, CompiledWhatsApp};
use eywa_weave::{
    VoiceName,
    ports::{Contacts, Voice},
};

use super::{Shared, WireError};
use crate::secrets::Secrets;

/// The voices of one Spirit, in their order.
#[derive(Default)]
pub(super) struct Voices {
    pub(super) all: Vec<(VoiceName, Arc<dyn Voice>)>,
    /// Those whose caller may wait for the answer.
    #[cfg(feature = "voice-http")]
    pub(super) http: Vec<(VoiceName, Arc<HttpVoice>)>,
}

pub(super) fn wire(
    spirit: &CompiledSpirit,
    secrets: &dyn Secrets,
    contacts: &Arc<dyn Contacts>,
    shared: &Shared,
) -> Result<Voices, WireError> {
    let mut voices = Voices::default();
    for voice in &spirit.voices {
        let place = Place {
            spirit: &spirit.name,
            voice: &voice.name,
        };
        match &voice.channel {
            CompiledChannel::Whatsapp(config) => {
                voices.whatsapp(place, config, secrets, contacts, shared)?;
            }
            CompiledChannel::Http(config) => voices.http(place, config, secrets, shared)?,
        }
    }
    Ok(voices)
}

/// Which voice, for an error to say.
#[derive(Clone, Copy)]
struct Place<'a> {
    spirit: &'a str,
    voice: &'a str,
}

impl Place<'_> {
    #[cfg(any(feature = "voice-http", feature = "voice-whatsapp"))]
    fn invalid(self, field: &str, reason: impl ToString) -> WireError {
        WireError::invalid(
            self.spirit,
            format!("voices[{}].{field}", self.voice),
            reason,
        )
    }
}

impl Voices {
    #[cfg(feature = "voice-whatsapp")]
    fn whatsapp(
        &mut self,
        place: Place<'_>,
        config: &CompiledWhatsApp,
        secrets: &dyn Secrets,
        contacts: &Arc<dyn Contacts>,
        shared: &Shared,
    ) -> Result<(), WireError> {
        use eywa_adapters::voice::{MediaSettings, Template, WhatsAppSettings, WhatsAppVoice};

        let name = VoiceName::from(place.voice);
        let settings = WhatsAppSettings {
            name: name.clone(),
            phone_number_id: config.phone_number_id.clone(),
            graph_url: config
                .graph_url
                .parse()
                .map_err(|reason| place.invalid("whatsapp.graphUrl", reason))?,
            access_token: secrets.get(&config.access_token)?,
            app_secret: secrets.get(&config.app_secret)?,
            verify_token: secrets.get(&config.verify_token)?,
            typing: config.typing,
            media: MediaSettings {
                max_bytes: usize::try_from(config.media.max_bytes).unwrap_or(usize::MAX),
                types: config.media.types.clone(),
            },
            template: config.template.clone().map(|template| Template {
                name: template.name,
                language: template.language,
                parameters: template.parameters,
                carries_text: template.carries_text,
            }),
            list_label: config.list_label.clone(),
        };
        let voice = WhatsAppVoice::new(settings, Arc::clone(contacts), shared.client.clone())
            .map_err(|reason| place.invalid("whatsapp", reason))?;
        self.all.push((name, Arc::new(voice)));
        Ok(())
    }

    #[cfg(not(feature = "voice-whatsapp"))]
    #[allow(clippy::unused_self, reason = "the same signature as with the feature")]
    fn whatsapp(
        &mut self,
        place: Place<'_>,
        _: &CompiledWhatsApp,
        _: &dyn Secrets,
        _: &Arc<dyn Contacts>,
        _: &Shared,
    ) -> Result<(), WireError> {
        Err(WireError::not_built_in(
            place.spirit,
            format!("the voice {} (whatsapp)", place.voice),
            "voice-whatsapp",
        ))
    }

    #[cfg(feature = "voice-http")]
    fn http(
        &mut self,
        place: Place<'_>,
        config: &CompiledHttp,
        secrets: &dyn Secrets,
        shared: &Shared,
    ) -> Result<(), WireError> {
        use eywa_adapters::{standard_webhooks::SigningKey, voice::HttpVoiceSettings};

        let name = VoiceName::from(place.voice);
        let reply_url = config.reply_url.as_ref().map(|url| url.parse()).transpose();
        let settings = HttpVoiceSettings {
            name: name.clone(),
            key: SigningKey::parse(&secrets.get(&config.signing_key)?)
                .map_err(|reason| place.invalid("http.secretRef", reason))?,
            reply_url: reply_url.map_err(|reason| place.invalid("http.replyUrl", reason))?,
        };
        let voice = Arc::new(HttpVoice::new(settings, shared.client.clone()));
        self.all.push((name.clone(), Arc::clone(&voice) as _));
        self.http.push((name, voice));
        Ok(())
    }

    #[cfg(not(feature = "voice-http"))]
    #[allow(clippy::unused_self, reason = "the same signature as with the feature")]
    fn http(
        &mut self,
        place: Place<'_>,
        _: &CompiledHttp,
        _: &dyn Secrets,
        _: &Shared,
    ) -> Result<(), WireError> {
        Err(WireError::not_built_in(
            place.spirit,
            format!("the voice {} (http)", place.voice),
            "voice-http",
        ))
    }
}
