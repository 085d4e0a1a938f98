//! What one turn has gathered so far: the person's words, the Spirit's, and what was found in between.

use std::borrow::Cow;

use tokio::time::Instant;

use super::{Ended, Inner, Stopped, aloud::Aloud, history::Turns, trace::Trace};
use crate::{
    echo::{Echo, EchoBody},
    names::SpiritName,
    observe::Stage,
    ports::{
        Voice,
        inbox::{Delivery, Speech},
        memory::{Recollection, Tally},
        vigil::Watch,
    },
    pulse::{Choice, Outcome, Pulse},
};

/// One turn: the Pulses that it answers, and all that comes of them.
pub(super) struct Answer<'d> {
    pub(super) deliveries: &'d [Delivery],
    pulse: Cow<'d, Pulse>,
    /// The Spirit that answers.
    pub(super) spirit: SpiritName,
    /// What the turn adds to the conversation after the person's words.
    pub(super) echoes: Vec<Echo>,
    /// What each Scout found.
    pub(super) findings: Vec<(String, String)>,
    /// When there must be something to say; absent until the first Spirit is asked.
    pub(super) deadline: Option<Instant>,
    /// How often one Spirit has handed the Pulse to another.
    pub(super) handovers: u32,
    /// What is missing before the person's words: that the Spirit has the conversation again.
    pub(super) mark: Option<Echo>,
    /// What the person is offered to answer with.
    pub(super) choices: Vec<Choice>,
    /// What became of the Rites that this turn resumes, with the Spirit that had asked. It stands in the conversation.
    settled: Vec<(SpiritName, Echo)>,
    /// The same, for the Chronicle.
    accounts: Vec<String>,
    /// Who hears the reply while it is being made.
    pub(super) aloud: Option<Aloud>,
    /// A permit to speak was given, and is to be given back.
    pub(super) permitted: bool,
    /// The channel has taken the reply.
    pub(super) spoken: bool,
}

/// What was known of a session when the turn began.
pub(super) struct Session {
    pub(super) turns: Turns,
    pub(super) recollection: Recollection,
    /// The recollection is no longer what is stored.
    pub(super) changed: bool,
    /// Tokens used today, before this turn.
    pub(super) tokens: u64,
}

impl<'d> Answer<'d> {
    /// A turn for these Pulses, of which there is at least one. Several are answered as one: their texts in their order,
    /// to the address of the last.
    pub(super) fn to(deliveries: &'d [Delivery], spirit: &SpiritName) -> Option<Self> {
        let (last, before) = deliveries.split_last()?;
        let mut pulse = Cow::Borrowed(&last.pulse);
        for earlier in before.iter().rev() {
            let merged = pulse.to_mut();
            merged.content.text =
                format!("{}\n{}", earlier.pulse.content.text, merged.content.text);
            merged
                .content
                .attachments
                .splice(0..0, earlier.pulse.content.attachments.iter().cloned());
        }
        Some(Self {
            deliveries,
            pulse,
            spirit: spirit.clone(),
            echoes: Vec::new(),
            findings: Vec::new(),
            deadline: None,
            handovers: 0,
            mark: None,
            choices: Vec::new(),
            settled: Vec::new(),
            accounts: Vec::new(),
            aloud: None,
            permitted: false,
            spoken: false,
        })
    }

    /// What is answered.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// A Rite was settled.
    pub(super) fn settled(&mut self, spirit: SpiritName, echo: Echo) {
        self.settled.push((spirit, echo));
    }

    /// For the Chronicle: what became of a Rite.
    pub(super) fn account(&mut self, account: String) {
        self.accounts.push(account);
    }

    /// Why the turn ended so, with what became of its Rites.
    pub(super) fn accounts(&self, reason: &str) -> String {
        let own = (!reason.is_empty()).then_some(reason);
        let accounts = self.accounts.iter().map(String::as_str);
        accounts.chain(own).collect::<Vec<_>>().join("; ")
    }

    /// The Spirit that goes on where nobody wrote: the one that had asked for what was decided. `None` where somebody did.
    pub(super) fn resumes(&self) -> Option<&SpiritName> {
        self.pulse.resumes.as_ref()?;
        Some(
            self.settled
                .last()
                .map_or(&self.spirit, |(spirit, _)| spirit),
        )
    }

    /// Whether nobody wrote, and nothing is to be told: the conversation has gone on with it since, or it was forgotten.
    fn is_told(&self, echoes: &[Echo]) -> bool {
        let told = |(_, settled): &(SpiritName, Echo)| {
            let after = echoes
                .iter()
                .skip_while(|echo| echo.id != settled.id)
                .skip(1);
            after
                .into_iter()
                .any(|echo| matches!(&echo.body, EchoBody::Agent { text, .. } if !text.is_empty()))
        };
        self.pulse.resumes.is_some() && self.settled.iter().all(told)
    }

    /// Adds to the conversation.
    pub(super) fn add(&mut self, body: EchoBody) {
        let id = format!("{}#{}", self.pulse.id, self.echoes.len() + 1);
        self.echoes.push(Echo {
            id,
            at: jiff::Timestamp::now(),
            pulse: Some(self.pulse.id.clone()),
            body,
        });
    }

    /// How the turn ends if the reply was, or may have been, spoken before a crash.
    pub(super) fn spoken_before(&self, voice: &dyn Voice) -> Option<Ended> {
        match self.deliveries.last()?.speech {
            Speech::Silent => None,
            Speech::Spoken => Some(Ended::new(
                Outcome::Answered,
                "it had been answered before a crash",
            )),
            Speech::Unknown if voice.repeats() => None,
            Speech::Unknown => Some(Ended::new(
                Outcome::Failed,
                "a reply was being sent when its pod died; whether it arrived is not known, and this voice speaks at most once",
            )),
        }
    }
}

impl Inner {
    /// Reads Memory and history, and the Vigil where it was not read with the Bond.
    pub(super) async fn recall(
        &self,
        answer: &mut Answer<'_>,
        watched: bool,
        trace: &mut Trace,
    ) -> Result<Result<Session, Ended>, Stopped> {
        let began = Instant::now();
        let session = &answer.pulse().session.clone();
        let limits = &self.front.limits;
        let watch = async {
            if watched {
                Ok(Watch::default())
            } else {
                self.vigil.watch(session).await
            }
        };
        let used = async {
            if limits.tokens_per_day.is_none() {
                Ok(0)
            } else {
                self.memory.tally(session, Tally::Tokens, 0).await
            }
        };
        let (watch, recollection, echoes, tokens) = tokio::join!(
            watch,
            self.memory.recall(session),
            self.echoes.recent(session, limits.history),
            used
        );
        let pulses = answer.deliveries.iter().map(|delivery| &delivery.pulse);
        if self.has_human(&watch?, pulses).await? {
            return Ok(Err(Ended::human()));
        }
        let (recollection, mut echoes, tokens) = (recollection?, echoes?, tokens?);
        if let Some(mark) = self.handover.missing_mark(session, &echoes).await? {
            echoes.push(mark.clone());
            answer.mark = Some(mark);
        }
        trace.stage(Stage::Recall, "", "", began);
        if let Some(most) = limits.tokens_per_day.filter(|most| tokens >= *most) {
            self.summon_for_budget(session).await;
            return Ok(Err(Ended::out_of_tokens(most)));
        }
        let mut turns = Turns::of(&echoes);
        if answer.is_told(&echoes) {
            return Ok(Err(Ended::new(
                Outcome::Answered,
                "the conversation has heard of it",
            )));
        }
        for (_, settled) in &answer.settled {
            if !echoes.iter().any(|known| known.id == settled.id) {
                turns.add(&settled.body);
            }
        }
        if answer.pulse().resumes.is_none() {
            let words = self.words(answer, &echoes).await;
            turns.user(&words, &answer.pulse().content.attachments);
        }
        Ok(Ok(Session {
            turns,
            recollection,
            changed: false,
            tokens,
        }))
    }
}

impl Ended {
    pub(super) fn human() -> Self {
        Self::new(Outcome::Vigil, "")
    }

    pub(super) fn out_of_tokens(most: u64) -> Self {
        Self::new(
            Outcome::Limited,
            format!(
                "the session has used its {most} tokens of the day (limits.tokensPerSessionPerDay)"
            ),
        )
    }
}
