//! Taking Pulses in: from webhooks, and from pods that died with them.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::Instrument as _;

use super::{
    Weave,
    flight::{Airborne, Grounded},
};
use crate::{
    error::StoreError,
    names::{PulseId, VoiceName},
    observe::{Event, Stage},
    ports::{
        inbox::{Acceptance, Delivery},
        voice::{Received, Rejected, Webhook},
    },
    pulse::Pulse,
};

/// The most Pulses that are taken over at a time.
const MOST_RECLAIMED: usize = 32;
/// Between two looks for Pulses whose pod has died, more or less.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Between two looks for Rites that lapsed, or whose decision a pod died with.
const BETWEEN_RITES: Duration = Duration::from_secs(3);
/// The longest between two looks while the Inbox cannot be reached.
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(15);

/// A webhook was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The channel verifies the endpoint: this is to be echoed.
    Challenge(String),
    /// Every Pulse is in the Inbox, or was there before.
    Accepted {
        /// Each Pulse, in order, and whether it was new.
        pulses: Vec<(PulseId, Acceptance)>,
        /// How many parts were nothing to answer.
        ignored: usize,
    },
}

/// A webhook was not taken in. Nothing of it may be taken for accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The Spirit has no voice of that name.
    #[error("there is no such voice")]
    UnknownVoice,
    /// The voice turned it away.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Too much is in work. The channel is to deliver it again later.
    #[error("too many Pulses are in work; deliver it again in a moment")]
    Full,
    /// This process is about to stop. The channel is to deliver it again, to another.
    #[error("this process is about to stop; deliver it again")]
    Draining,
    /// The Inbox failed. The channel is to deliver it again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Grounded> for ReceiveError {
    fn from(grounded: Grounded) -> Self {
        match grounded {
            Grounded::Full => Self::Full,
            Grounded::Draining => Self::Draining,
        }
    }
}

impl Weave {
    /// Takes a webhook in. Once this is `Ok`, every Pulse of it is in the Inbox or was before; the new ones are being
    /// worked on, in tasks of their own.
    ///
    /// # Errors
    /// [`ReceiveError`]. The channel may then deliver the same again.
    pub async fn receive(
        &self,
        voice: &VoiceName,
        webhook: Webhook<'_>,
    ) -> Result<Receipt, ReceiveError> {
        let began = Instant::now();
        let adapter = self.0.voices.get(voice).ok_or(ReceiveError::UnknownVoice)?;
        let (mut pulses, ignored, notices) = match adapter.receive(webhook)? {
            Received::Challenge(challenge) => return Ok(Receipt::Challenge(challenge)),
            Received::Pulses {
                pulses,
                ignored,
                notices,
            } => (pulses, ignored, notices),
        };
        self.0.identify(voice, &mut pulses, &notices).await?;
        let pulses = self.accept(pulses).await?;
        self.0.follow(voice, &notices).await?;
        self.0.observer.observe(Event::Stage {
            spirit: self.name(),
            stage: Stage::Accept,
            took: began.elapsed(),
        });
        Ok(Receipt::Accepted { pulses, ignored })
    }

    async fn accept(&self, pulses: Vec<Pulse>) -> Result<Vec<(PulseId, Acceptance)>, ReceiveError> {
        if pulses.is_empty() {
            return Ok(Vec::new());
        }
        let airborne: Vec<Airborne> = pulses
            .iter()
            .map(|_| self.0.flight.take_off())
            .collect::<Result<_, _>>()?;
        let acceptances = self.0.inbox.accept(&pulses, self.0.lease()).await?;
        let mut receipts = Vec::with_capacity(pulses.len());
        for ((pulse, acceptance), airborne) in pulses.into_iter().zip(acceptances).zip(airborne) {
            receipts.push((pulse.id.clone(), acceptance));
            match acceptance {
                Acceptance::New => {
                    self.take_off(Delivery::first(pulse), airborne);
                }
                Acceptance::Duplicate => {
                    let weave = self.clone();
                    tokio::spawn(async move {
                        weave.0.end_duplicate(&pulse).await;
                        drop(airborne);
                    });
                }
            }
        }
        Ok(receipts)
    }

    /// Takes over, for as long as it is polled, the Pulses whose lease has ended: those of pods that died, and those that
    /// were put off.
    pub async fn tend(&self) {
        let mut between = BETWEEN_LOOKS;
        let mut rites_at = Instant::now();
        loop {
            let pause = between.mul_f64(rand::rng().random_range(0.75..1.25));
            sleep(pause).await;
            match self.reclaim().await {
                Ok(_) => between = BETWEEN_LOOKS,
                Err(error) => {
                    tracing::warn!(%error, "the Inbox cannot be reached; trying again");
                    between = (between * 2).min(LONGEST_BETWEEN_LOOKS);
                }
            }
            if Instant::now() >= rites_at {
                rites_at = Instant::now() + BETWEEN_RITES;
                if let Err(error) = self.resume_due().await {
                    tracing::warn!(%error, "the Rites cannot be looked through; trying again");
                }
            }
        }
    }

    /// Takes over once; how many there were.
    ///
    /// # Errors
    /// When the Inbox cannot be reached.
    pub async fn reclaim(&self) -> Result<usize, StoreError> {
        let mut airborne = Vec::new();
        while airborne.len() < MOST_RECLAIMED
            && let Ok(one) = self.0.flight.take_off()
        {
            airborne.push(one);
        }
        if airborne.is_empty() {
            return Ok(0);
        }
        let deliveries = self.0.inbox.reclaim(airborne.len(), self.0.lease()).await?;
        let taken = deliveries.len();
        for (delivery, airborne) in deliveries.into_iter().zip(airborne) {
            let waited = Timestamp::now().duration_since(delivery.pulse.received_at);
            tracing::info!(pulse = %delivery.pulse.id, attempt = delivery.attempt, ?waited, "took over a Pulse");
            self.take_off(delivery, airborne);
        }
        Ok(taken)
    }

    /// A permit for one more, unless there are too many or none may begin any more.
    pub(super) fn airborne(&self) -> Option<Airborne> {
        self.0.flight.take_off().ok()
    }

    pub(super) fn take_off(&self, delivery: Delivery, airborne: Airborne) -> JoinHandle<()> {
        let weave = self.clone();
        let span = tracing::info_span!("weave", spirit = %self.name(), pulse = %delivery.pulse.id);
        let flight = async move {
            weave.weave(delivery).await;
            drop(airborne);
        };
        tokio::spawn(flight.instrument(span))
    }
}
