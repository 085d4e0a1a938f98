//! What channels tell of besides messages: who is who, and how far what was sent has come.

use futures::future::try_join_all;

use super::Inner;
use crate::{
    error::StoreError,
    names::{SessionKey, UserId, VoiceName},
    observe::Event,
    ports::{contacts::Progress, voice::Notice},
    pulse::Pulse,
};

impl Inner {
    /// Gives each Pulse to the session that its sender has had so far, by whatever id they write now. Before the Inbox
    /// accepts them: from then on the session is fixed.
    pub(super) async fn identify(
        &self,
        voice: &VoiceName,
        pulses: &mut [Pulse],
        notices: &[Notice],
    ) -> Result<(), StoreError> {
        let Some(contacts) = &self.contacts else {
            return Ok(());
        };
        for notice in notices {
            let Notice::Person { id, also } = notice else {
                continue;
            };
            let known: UserId = contacts.identify(voice, id, also).await?;
            for pulse in pulses.iter_mut().filter(|pulse| pulse.session.user == *id) {
                pulse.session = SessionKey::new(pulse.session.voice.clone(), known.clone());
            }
        }
        Ok(())
    }

    /// Counts how far messages have come, each step once.
    pub(super) async fn follow(
        &self,
        voice: &VoiceName,
        notices: &[Notice],
    ) -> Result<(), StoreError> {
        let told = notices.iter().filter_map(|notice| match notice {
            Notice::Progress {
                message,
                progress,
                code,
            } => Some((message, *progress, code.as_deref())),
            Notice::Person { .. } => None,
        });
        let followed = told.map(|(message, progress, code)| async move {
            let news = match &self.contacts {
                Some(contacts) => contacts.advance(voice, message, progress).await?,
                None => true,
            };
            if news {
                self.tell_progress(voice, message, progress, code);
            }
            Ok::<_, StoreError>(())
        });
        try_join_all(followed).await.map(drop)
    }

    fn tell_progress(
        &self,
        voice: &VoiceName,
        message: &str,
        progress: Progress,
        code: Option<&str>,
    ) {
        let spirit = &self.name;
        let outcome = match progress {
            // It was counted when the channel took it.
            Progress::Sent => return,
            Progress::Arrived => "arrived",
            Progress::Read => "read",
            Progress::Failed => "undelivered",
        };
        self.observer.observe(Event::Voice {
            spirit,
            voice,
            outcome,
        });
        if progress == Progress::Failed {
            let code = code.unwrap_or("none");
            tracing::warn!(%voice, message, code, "the channel could not deliver a message");
            self.observer.observe(Event::VoiceRefusal {
                spirit,
                voice,
                code,
            });
        }
    }
}
