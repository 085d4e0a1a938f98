//! Writing down how a turn ended, and telling those who wait for it.

use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;
use rand::RngExt as _;

use super::{Ended, Inner, Stopped, answer::Answer, trace::Trace, turns::Holding};
use crate::{
    echo::{Echo, EchoBody, Finding},
    error::StoreError,
    imprint,
    names::{PulseId, SpiritName},
    observe::Event,
    ports::{
        chronicle::Entry,
        inbox::{Delivery, Speech},
        memory::Recollection,
        voice::Ending,
    },
    pulse::{Outcome, Pulse},
};

/// How long a session is remembered after its last turn.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How often writing is tried: what was said should be known.
const MOST_TRIES: u32 = 4;
/// The first pause before writing again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A turn that was written down. What is left is to finish its Pulses, to let go, and to tell those who wait.
pub(super) struct Recorded {
    pub(super) ids: Vec<PulseId>,
    entries: Vec<Entry>,
    echoes: Vec<Echo>,
    findings: Vec<(String, String)>,
    own: Duration,
}

impl Inner {
    /// Writes Echoes, Chronicle and Memory of a turn under the Bond, in one trip.
    pub(super) async fn record(
        &self,
        holding: &Holding,
        answer: Answer<'_>,
        recollection: Option<Recollection>,
        ended: Ended,
        trace: Trace,
    ) -> Result<Recorded, Stopped> {
        let own = trace.own();
        let session = &answer.pulse().session;
        let fence = holding.guard.fence;
        let entries = entries(answer.deliveries, &answer.spirit, &ended, trace);
        let mut echoes: Vec<Echo> = answer.mark.iter().cloned().collect();
        if ended.outcome == Outcome::Vigil {
            echoes.extend(self.handover.mark_of_everyone().await?);
        }
        echoes.extend(
            answer
                .deliveries
                .iter()
                .filter(|delivery| delivery.pulse.resumes.is_none())
                .map(|delivery| heard(&delivery.pulse)),
        );
        if let Some(Echo {
            body: EchoBody::User { findings, .. },
            ..
        }) = echoes.last_mut()
        {
            let found = answer.findings.iter();
            findings.extend(found.map(|(scout, text)| match scout.as_str() {
                imprint::SCOUT => Finding::new(scout, imprint::KEPT_ELSEWHERE),
                _ => Finding::new(scout, text),
            }));
        }
        echoes.extend_from_slice(&answer.echoes);
        let mut tries = Tries::new();
        let written = loop {
            let let_others_speak = async {
                if answer.permitted {
                    self.vigil.end_speaking(session, fence).await
                } else {
                    Ok(())
                }
            };
            let mark = async {
                let repeats = answer.spoken
                    && self
                        .voices
                        .get(&session.voice)
                        .is_some_and(|voice| voice.repeats());
                if repeats {
                    self.inbox.mark(&answer.pulse().id, Speech::Spoken).await
                } else {
                    Ok(())
                }
            };
            let keep = async {
                match &recollection {
                    Some(recollection) => {
                        self.memory
                            .keep(session, fence, recollection, REMEMBERED)
                            .await
                    }
                    None => Ok(()),
                }
            };
            let note = async {
                if ended.outcome == Outcome::Vigil {
                    self.note(answer.deliveries).await
                } else {
                    Ok(())
                }
            };
            let written = tokio::try_join!(
                self.hear(answer.deliveries),
                self.echoes.append(session, Some(fence), &echoes),
                try_join_all(entries.iter().map(|entry| self.chronicle.append(entry))),
                let_others_speak,
                mark,
                keep,
                note,
            );
            if !tries.again(&written).await {
                break written;
            }
        };
        match written {
            Ok(_) => {}
            // What was said cannot be unsaid: better a gap in the history than a second answer.
            Err(error) if answer.spoken => {
                tracing::error!(%error, "a reply was spoken and could not be recorded");
            }
            Err(StoreError::Fenced { .. }) => return Err(Stopped::BondLost),
            Err(error) => return Err(error.into()),
        }
        if ended.outcome == Outcome::Vigil {
            self.tell_people(answer.deliveries);
        }
        let ids = answer
            .deliveries
            .iter()
            .map(|delivery| delivery.pulse.id.clone())
            .collect();
        Ok(Recorded {
            ids,
            entries,
            echoes,
            findings: answer.findings,
            own,
        })
    }

    /// Writes down a Pulse that ends without a turn, and finishes it. What a human is to read goes to the Echo store.
    pub(super) async fn end_without_turn(
        &self,
        delivery: &Delivery,
        ended: Ended,
        trace: Trace,
    ) -> Result<(), Stopped> {
        let own = trace.own();
        let human = ended.outcome == Outcome::Vigil;
        let deliveries = std::slice::from_ref(delivery);
        let entries = entries(deliveries, &self.name, &ended, trace);
        let mut echoes = Vec::new();
        if human {
            echoes.extend(self.handover.mark_of_everyone().await?);
            echoes.push(heard(&delivery.pulse));
        }
        let mut tries = Tries::new();
        loop {
            let echo = async {
                if human {
                    self.echoes
                        .append(&delivery.pulse.session, None, &echoes)
                        .await
                } else {
                    Ok(())
                }
            };
            let note = async {
                if human {
                    self.note(deliveries).await
                } else {
                    Ok(())
                }
            };
            let chronicle = try_join_all(entries.iter().map(|entry| self.chronicle.append(entry)));
            let written = tokio::try_join!(self.hear(deliveries), echo, note, chronicle);
            if !tries.again(&written).await {
                written?;
                break;
            }
        }
        self.inbox
            .finish(std::slice::from_ref(&delivery.pulse.id))
            .await?;
        if human {
            self.tell_people(deliveries);
        }
        let ids = Vec::new();
        self.tell(Recorded {
            ids,
            entries,
            echoes,
            findings: Vec::new(),
            own,
        });
        Ok(())
    }

    /// A Pulse that was accepted before came again: it is counted, and the Chronicle knows.
    pub(super) async fn end_duplicate(&self, pulse: &Pulse) {
        let delivery = Delivery::first(pulse.clone());
        let ended = Ended::new(Outcome::Duplicate, "");
        let entries = entries(
            std::slice::from_ref(&delivery),
            &self.name,
            &ended,
            self.trace(),
        );
        for entry in &entries {
            if let Err(error) = self.chronicle.append(entry).await {
                tracing::warn!(%error, "a duplicate could not be recorded");
            }
        }
        let (ids, echoes, findings) = (Vec::new(), Vec::new(), Vec::new());
        self.tell(Recorded {
            ids,
            entries,
            echoes,
            findings,
            own: Duration::ZERO,
        });
    }

    /// The human who has the conversation is to hear of it.
    fn tell_people(&self, deliveries: &[Delivery]) {
        for Delivery { pulse, .. } in deliveries {
            if pulse.resumes.is_none() {
                self.handover.wrote(pulse);
            }
        }
    }

    /// When and from where the person last wrote is known from now on.
    async fn hear(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let last = deliveries
            .iter()
            .rfind(|delivery| delivery.pulse.resumes.is_none());
        match last {
            Some(Delivery { pulse, .. }) => self.memory.hear(&pulse.session, &pulse.into()).await,
            None => Ok(()),
        }
    }

    /// Tells metrics, and whoever waits in this process, how the Pulses ended.
    pub(super) fn tell(&self, recorded: Recorded) {
        for entry in &recorded.entries {
            let took = Duration::try_from(entry.ended_at.duration_since(entry.received_at))
                .unwrap_or_default();
            let voice = &entry.session.voice;
            self.observer.observe(Event::Pulse {
                spirit: &self.name,
                voice,
                outcome: entry.outcome,
                took,
                own: recorded.own,
            });
            tracing::info!(pulse = %entry.pulse, outcome = entry.outcome.as_str(), reason = entry.reason, "a Pulse ended");
            // Whoever waits, waits for the first delivery to end.
            if entry.outcome == Outcome::Duplicate {
                continue;
            }
            if let Some(voice) = self.voices.get(voice) {
                voice.ended(Ending {
                    entry,
                    echoes: &recorded.echoes,
                    findings: &recorded.findings,
                });
            }
        }
    }

    async fn note(&self, deliveries: &[Delivery]) -> Result<(), StoreError> {
        let heard = deliveries
            .iter()
            .filter(|delivery| delivery.pulse.resumes.is_none());
        try_join_all(heard.map(|delivery| {
            let pulse = &delivery.pulse;
            self.vigil
                .note(&pulse.session, &pulse.id, pulse.received_at)
        }))
        .await
        .map(drop)
    }
}

/// The person's words.
fn heard(pulse: &Pulse) -> Echo {
    Echo {
        id: pulse.id.to_string(),
        at: pulse.received_at,
        pulse: Some(pulse.id.clone()),
        body: EchoBody::User {
            name: pulse.user.name.clone(),
            text: pulse.content.text.clone(),
            attachments: pulse.content.attachments.clone(),
            findings: Vec::new(),
        },
    }
}

/// An entry for each Pulse of a turn. The last was answered, and has the steps; those before it were merged into it.
fn entries(
    deliveries: &[Delivery],
    spirit: &SpiritName,
    ended: &Ended,
    mut trace: Trace,
) -> Vec<Entry> {
    let ended_at = Timestamp::now();
    let mut entries: Vec<Entry> = deliveries
        .iter()
        .map(|delivery| Entry {
            pulse: delivery.pulse.id.clone(),
            session: delivery.pulse.session.clone(),
            spirit: spirit.clone(),
            outcome: ended.outcome,
            reason: ended.reason.clone(),
            received_at: delivery.pulse.received_at,
            ended_at,
            attempt: delivery.attempt,
            steps: Vec::new(),
            usage: Default::default(),
        })
        .collect();
    if let Some((last, before)) = entries.split_last_mut() {
        last.steps = std::mem::take(&mut trace.steps);
        last.usage = trace.usage;
        for merged in before
            .iter_mut()
            .filter(|_| ended.outcome == Outcome::Answered)
        {
            merged.outcome = Outcome::Merged;
            merged.reason = format!("answered together with {}", last.pulse);
        }
    }
    entries
}

/// How often writing is still to be tried while a store is unavailable.
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self {
            left: MOST_TRIES - 1,
            pause: FIRST_PAUSE,
        }
    }

    /// Whether to write again after this result. Waits first, longer each time.
    pub(super) async fn again<T>(&mut self, written: &Result<T, StoreError>) -> bool {
        if self.left == 0 || !matches!(written, Err(StoreError::Unavailable { .. })) {
            return false;
        }
        let pause = self.pause.mul_f64(rand::rng().random_range(0.5..1.5));
        tokio::time::sleep(pause).await;
        self.left -= 1;
        self.pause *= 2;
        true
    }
}
