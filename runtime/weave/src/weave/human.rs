//! What people do: take a conversation, answer in it, and give it back.
//!
//! All of it goes to the stores alone, so it works while the Kubernetes API does not.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::{Inner, Weave, record::Tries};
use crate::{
    echo::{Echo, EchoBody},
    error::StoreError,
    handover::Handover,
    names::{PulseId, SessionKey},
    observe::Event,
    ports::{
        Voice,
        bond::BondGuard,
        chronicle::{Deed, DeedKind},
        memory::Heard,
        vigil::{Cause, Phase, ReleaseReason, Target, Watch},
        voice::{Utterance, VoiceError},
    },
    pulse::Pulse,
    spirit::Facts,
};

/// The most bytes that a human says at a time.
pub const LONGEST_REPLY: usize = 16 * 1024;
/// Among how many of the last Echoes a reply that comes again is looked for.
const KNOWN_REPLIES: usize = 200;
/// How long a takeover may wait for the reply in flight: longer than any permit to speak.
const LONGEST_TAKEOVER: Duration = Duration::from_secs(40);
/// How often the reply in flight is asked after.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// How long a human's reply waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long people's replies to one session are kept from overtaking one another: longer than saying one takes.
const REPLY_TTL: Duration = Duration::from_secs(30);
/// The longest that showing that a human types may take.
const LONGEST_ATTENTION: Duration = Duration::from_secs(5);

/// A conversation does not change hands.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandoverError {
    /// Somebody else has it. They give it back, or it is taken from them by giving it back in their place.
    #[error("{by} has this conversation")]
    TakenBy {
        /// Who; empty when they did not say.
        by: String,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// A store failed. Doing the same again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A human's words were not said, or it is not known whether they were.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReplyError {
    /// Another has the conversation, or the Spirit.
    #[error("the conversation is not yours: {}", whose(.by))]
    NotYours {
        /// Who has it; empty when no human does.
        by: String,
    },
    /// There is nothing to say, or too much.
    #[error("a reply has 1 to {LONGEST_REPLY} bytes")]
    Length,
    /// Nobody has written on this session, or too long ago, so there is no address.
    #[error(
        "nobody has written in this conversation for so long that there is no address to answer to"
    )]
    NeverHeard,
    /// The channel did not take it; after [`VoiceError::Unknown`] it may have.
    #[error(transparent)]
    Channel(#[from] VoiceError),
    /// Another reply to this session is still being said. Come back.
    #[error("another reply is still being sent; send this one again in a moment")]
    Busy,
    /// A store failed before anything was said. Doing the same again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn whose(by: &str) -> String {
    if by.is_empty() {
        "no human has it; take it over first".to_owned()
    } else {
        format!("{by} has it")
    }
}

impl Weave {
    /// Changes who has a conversation: what whoever keeps Vigil objects goes by.
    #[must_use]
    pub fn handover(&self) -> Handover {
        self.0.handover.clone()
    }

    /// What holds for a session: the Spirit-wide Vigil where a human has that, else its own.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError> {
        self.0.vigil.watch(session).await
    }

    /// What is known of exactly this target.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn vigil(&self, target: &Target) -> Result<Watch, StoreError> {
        self.0.vigil.state(target).await
    }

    /// Those that a human has, or is asked to take.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn open_vigils(&self) -> Result<Vec<(Target, Watch)>, StoreError> {
        self.0.handover.open().await
    }

    /// A human takes over. Gives `TakingOver` while a reply in flight is waited for; it becomes `Active` by itself.
    ///
    /// # Errors
    /// When another human has it, or a store fails.
    pub async fn take_over(&self, target: &Target, by: &str) -> Result<Watch, HandoverError> {
        let watch = self
            .0
            .handover
            .take_over(target, by, Timestamp::now())
            .await?;
        if watch.by != by {
            return Err(taken(watch));
        }
        if watch.phase == Phase::TakingOver {
            let (handover, target) = (self.handover(), target.clone());
            tokio::spawn(async move { settle(&handover, &target).await });
        }
        Ok(watch)
    }

    /// Gives the conversation back. Changes nothing when no human has it.
    ///
    /// # Errors
    /// When another human has it and `force` is not given, or a store fails.
    pub async fn give_back(
        &self,
        target: &Target,
        by: &str,
        force: bool,
    ) -> Result<Watch, HandoverError> {
        let watch = self.vigil(target).await?;
        if watch.phase.is_human() && watch.by != by && !watch.by.is_empty() && !force {
            return Err(taken(watch));
        }
        let given = self
            .0
            .handover
            .give_back(target, by, ReleaseReason::Human, Timestamp::now());
        Ok(given.await?)
    }

    /// Speaks for a human who has the conversation, by the same voice and its rules. With an `id` that was used before in
    /// this session nothing is said again, and the Echo of the first time is given: a caller that got no answer sends the
    /// same again.
    ///
    /// # Errors
    /// [`ReplyError`]. Nothing was said, but for [`VoiceError::Unknown`].
    pub async fn reply_as_human(
        &self,
        session: &SessionKey,
        by: &str,
        id: &str,
        text: &str,
    ) -> Result<Echo, ReplyError> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST_REPLY {
            return Err(ReplyError::Length);
        }
        self.0.must_have(session, by).await?;
        let guard = self.0.take_the_floor(session).await?;
        let replied = self.0.reply(session, by, id, text).await;
        if let Err(error) = self.0.bond.release(&guard).await {
            tracing::warn!(%error, "the next reply of a human has to wait");
        }
        replied
    }

    /// Shows the person that a human types, where the channel can.
    ///
    /// # Errors
    /// As [`Weave::reply_as_human`].
    pub async fn types_as_human(&self, session: &SessionKey, by: &str) -> Result<(), ReplyError> {
        self.0.must_have(session, by).await?;
        let voice = self.0.voice_of(session)?;
        if voice.attention().is_none() {
            return Ok(());
        }
        let heard = self
            .last_heard(session)
            .await?
            .ok_or(ReplyError::NeverHeard)?;
        match timeout(LONGEST_ATTENTION, voice.attend(&heard.reply_to)).await {
            Ok(shown) => Ok(shown?),
            Err(_) => Ok(()),
        }
    }

    /// When the person last wrote, who they are, and where an answer goes.
    ///
    /// # Errors
    /// The Memory's.
    pub async fn last_heard(&self, session: &SessionKey) -> Result<Option<Heard>, StoreError> {
        self.0.memory.last_heard(session).await
    }

    /// The last `most` things that people did with a conversation, or with all of the Spirit's: oldest first.
    ///
    /// # Errors
    /// The Chronicle's.
    pub async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError> {
        self.0.chronicle.deeds(about, most).await
    }
}

fn taken(watch: Watch) -> HandoverError {
    HandoverError::TakenBy {
        by: watch.by,
        since: watch.since,
    }
}

/// Waits until a takeover is `Active`. Whoever keeps Vigil objects does so too, so giving up loses nothing.
async fn settle(handover: &Handover, target: &Target) {
    let until = Instant::now() + LONGEST_TAKEOVER;
    while Instant::now() < until {
        sleep(BETWEEN_LOOKS).await;
        match handover.settle(target, Timestamp::now()).await {
            Ok(watch) if watch.phase == Phase::TakingOver => {}
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, "a takeover is not settled yet"),
        }
    }
}

impl Inner {
    /// Whether a human has the conversation in which the person sent these Pulses. They do not when the person asks for
    /// the Spirit in one of them, in the words that it listens for: then it has the conversation again.
    pub(super) async fn has_human<'p>(
        &self,
        watch: &Watch,
        mut pulses: impl Iterator<Item = &'p Pulse> + Send,
    ) -> Result<bool, StoreError> {
        if !watch.phase.is_human() {
            return Ok(false);
        }
        let asks = pulses.find(|pulse| {
            let said = pulse.content.text.trim().to_lowercase();
            watch.since.is_none_or(|since| since <= pulse.received_at)
                && self.calling.release_phrases.contains(&said)
        });
        let Some(pulse) = asks else {
            return Ok(true);
        };
        let own = Target::Session(pulse.session.clone());
        self.handover
            .give_back(&own, "", ReleaseReason::User, Timestamp::now())
            .await?;
        // A human who has all conversations keeps them, whoever asks.
        Ok(self.vigil.watch(&pulse.session).await?.phase.is_human())
    }

    /// The Spirit asks for a human.
    pub(super) async fn summon(
        &self,
        session: &SessionKey,
        cause: Cause,
        reason: &str,
    ) -> Result<(), StoreError> {
        let target = Target::Session(session.clone());
        if self
            .handover
            .request(&target, cause, reason, Timestamp::now())
            .await?
        {
            tracing::info!(%session, cause = cause.as_str(), "a human is asked to come");
            self.observer.observe(Event::Summoned {
                spirit: &self.name,
                cause,
            });
        }
        Ok(())
    }

    /// Asks for a human if the Spirit's rule holds of this Pulse. A rule that cannot be asked does not hold.
    pub(super) async fn summon_by_rule(&self, pulse: &Pulse) -> Result<(), StoreError> {
        let Some(rule) = self
            .calling
            .summon_when
            .as_ref()
            .filter(|_| pulse.resumes.is_none())
        else {
            return Ok(());
        };
        let facts = Facts {
            pulse,
            spirit: &self.name,
            now: Timestamp::now(),
        };
        match rule.holds(facts) {
            Ok(true) => {
                let reason = "the Spirit's rule vigil.summonWhen held";
                self.summon(&pulse.session, Cause::Rule, reason).await
            }
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "vigil.summonWhen cannot be asked; no human is asked to come");
                Ok(())
            }
        }
    }

    /// As [`Inner::summon`], for a turn that has failed and ends all the same.
    pub(super) async fn summon_if_may(&self, session: &SessionKey, cause: Cause, reason: &str) {
        if self.calling.summon
            && let Err(error) = self.summon(session, cause, reason).await
        {
            tracing::warn!(%error, "a human could not be asked to come");
        }
    }

    /// As [`Inner::summon_if_may`], for a session that has spent its tokens.
    pub(super) async fn summon_for_budget(&self, session: &SessionKey) {
        let reason = "the conversation has used its tokens of the day";
        self.summon_if_may(session, Cause::Budget, reason).await;
    }

    /// Whether this human has the conversation: itself, or with all of the Spirit's.
    async fn must_have(&self, session: &SessionKey, by: &str) -> Result<(), ReplyError> {
        let own = Target::Session(session.clone());
        let (own, everyone) =
            tokio::try_join!(self.vigil.state(&own), self.vigil.state(&Target::Everyone))?;
        let has = |watch: &Watch| watch.phase == Phase::Active && watch.by == by;
        if has(&own) || has(&everyone) {
            return Ok(());
        }
        let holder = [everyone, own]
            .into_iter()
            .find(|watch| watch.phase.is_human());
        match holder {
            // A reply of the Spirit is in flight: the human's comes after it.
            Some(watch) if watch.by == by => Err(ReplyError::Busy),
            Some(watch) => Err(ReplyError::NotYours { by: watch.by }),
            None => Err(ReplyError::NotYours { by: String::new() }),
        }
    }

    fn voice_of(&self, session: &SessionKey) -> Result<&dyn Voice, ReplyError> {
        let voice = self.voices.get(&session.voice);
        voice.map(AsRef::as_ref).ok_or(ReplyError::NeverHeard)
    }

    /// People's replies to one session are said one at a time. Their Bond is not the session's, which a Weave may hold for
    /// as long as an Oracle thinks: no voice has a name with a tilde.
    async fn take_the_floor(&self, session: &SessionKey) -> Result<BondGuard, ReplyError> {
        let floor = SessionKey::new(format!("~{}", session.voice), session.user.clone());
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(guard) = self.bond.acquire(&floor, REPLY_TTL).await? {
                return Ok(guard);
            }
            if Instant::now() >= until {
                return Err(ReplyError::Busy);
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn reply(
        &self,
        session: &SessionKey,
        by: &str,
        id: &str,
        text: &str,
    ) -> Result<Echo, ReplyError> {
        let id = format!("human-{id}");
        let known = self.echoes.recent(session, KNOWN_REPLIES).await?;
        if let Some(echo) = known.into_iter().find(|echo| echo.id == id) {
            return Ok(echo);
        }
        // Once more: it may have taken a while to have the floor.
        self.must_have(session, by).await?;
        let voice = self.voice_of(session)?;
        let heard = self.memory.last_heard(session).await?;
        let heard = heard.ok_or(ReplyError::NeverHeard)?;
        let pulse = PulseId::new(&session.voice, &id);
        let spoken = self
            .say(voice, Utterance::new(&pulse, &heard.reply_to, text))
            .await;
        self.observer.observe(Event::Voice {
            spirit: &self.name,
            voice: &session.voice,
            outcome: match &spoken {
                Ok(()) => "delivered",
                Err(VoiceError::Unauthorized { .. }) => "unauthorized",
                Err(VoiceError::Unknown { .. }) => "unknown",
                Err(_) => "failed",
            },
        });
        spoken?;
        let echo = Echo {
            id,
            at: Timestamp::now(),
            pulse: None,
            body: EchoBody::Human {
                by: by.to_owned(),
                text: text.to_owned(),
            },
        };
        self.record_reply(session, by, &echo).await;
        Ok(echo)
    }

    /// What was said cannot be unsaid: what cannot be written down of it is missing there, and that is all.
    async fn record_reply(&self, session: &SessionKey, by: &str, echo: &Echo) {
        let about = Target::Session(session.clone());
        let mut tries = Tries::new();
        loop {
            let what = DeedKind::Replied {
                echo: echo.id.clone(),
            };
            let written = tokio::try_join!(
                self.echoes
                    .append(session, None, std::slice::from_ref(echo)),
                self.vigil.answered(session),
                self.handover.did(&about, echo.at, by, what),
            );
            if !tries.again(&written).await {
                if let Err(error) = written {
                    tracing::error!(%error, "a human's reply was said and could not be recorded");
                }
                return;
            }
        }
    }
}
