//! Speaking: once more past the Vigil, fenced, and then through the Voice.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Ended, Inner, Stopped, answer::Answer, trace::Trace, turns::Holding};
use crate::{
    echo::EchoBody,
    observe::{Event, Stage},
    ports::{
        Voice,
        inbox::Speech,
        vigil::Permit,
        voice::{Utterance, VoiceError},
    },
    pulse::Outcome,
};

/// The longest that saying one thing may take, retries included.
const LONGEST_SPEECH: Duration = Duration::from_secs(20);
/// How much longer the permit lasts, so that the last request has reached the channel before a takeover is Active.
const PERMIT_MARGIN: Duration = Duration::from_secs(5);
/// The first pause before saying it again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Inner {
    /// Says it, unless a human has the conversation.
    pub(super) async fn speak(
        &self,
        holding: &Holding,
        answer: &mut Answer<'_>,
        voice: &dyn Voice,
        text: String,
        trace: &mut Trace,
    ) -> Result<Ended, Stopped> {
        let choices = std::mem::take(&mut answer.choices);
        let pulse = answer.pulse();
        let began = Instant::now();
        let permit = self
            .vigil
            .begin_speaking(
                &pulse.session,
                holding.guard.fence,
                LONGEST_SPEECH + PERMIT_MARGIN,
            )
            .await?;
        if let Permit::Human(_) = permit {
            trace.stage(Stage::Vigil, "", "human", began);
            return Ok(Ended::human());
        }
        // Only now, so that a Pulse is not taken for spoken when it was never allowed to be.
        self.inbox.mark(&pulse.id, Speech::Unknown).await?;
        trace.stage(Stage::Vigil, "", "", began);

        let began = Instant::now();
        let spoken = self
            .say(
                voice,
                Utterance {
                    pulse: &pulse.id,
                    to: &pulse.reply_to,
                    text: &text,
                    choices: &choices,
                },
            )
            .await;
        let outcome = match &spoken {
            Ok(()) => "delivered",
            Err(VoiceError::Unknown { .. }) => "unknown",
            Err(VoiceError::Unauthorized { .. }) => "unauthorized",
            Err(_) => "failed",
        };
        trace.stage(Stage::Voice, pulse.session.voice.as_str(), outcome, began);
        self.observer.observe(Event::Voice {
            spirit: &self.name,
            voice: &pulse.session.voice,
            outcome,
        });
        if let Some(code) = spoken.as_ref().err().and_then(VoiceError::code) {
            self.observer.observe(Event::VoiceRefusal {
                spirit: &self.name,
                voice: &pulse.session.voice,
                code,
            });
        }
        answer.permitted = true;
        match spoken {
            Ok(()) => {
                answer.spoken = true;
                let spirit = answer.spirit.clone();
                answer.add(EchoBody::Agent {
                    spirit,
                    text,
                    calls: Vec::new(),
                });
                Ok(Ended::new(Outcome::Answered, ""))
            }
            Err(error) => {
                tracing::warn!(%error, "the reply was not delivered");
                Ok(Ended::new(Outcome::Failed, error.to_string()))
            }
        }
    }

    /// Says one thing, again where that is safe: when the channel certainly did not take it, or when the voice would
    /// rather say it twice than not at all.
    pub(super) async fn say(
        &self,
        voice: &dyn Voice,
        utterance: Utterance<'_>,
    ) -> Result<(), VoiceError> {
        let deadline = Instant::now() + LONGEST_SPEECH;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match timeout_at(deadline, voice.speak(utterance)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(VoiceError::Unknown {
                        message: format!("no answer within {LONGEST_SPEECH:?}"),
                    });
                }
            };
            let wait = match &error {
                VoiceError::Busy { retry_after, .. } => retry_after.unwrap_or(pause),
                VoiceError::Unknown { .. } if voice.repeats() => pause,
                _ => return Err(error),
            }
            .mul_f64(rand::rng().random_range(1.0..1.5));
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "saying it again");
            sleep(wait).await;
            pause *= 2;
        }
    }
}
