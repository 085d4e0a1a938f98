//! The Weave: the engine that takes each Pulse through the pipeline.
//!
//! [`Weave::receive`] takes webhooks in, [`Weave::tend`] and [`Weave::wake`] take over what a dead pod has left, and all hand
//! each Pulse to [`Weave::weave`], which is the pipeline. Every step of it is a file of this folder:
//!
//! | step | file | trips to the stores |
//! |---|---|---|
//! | accept into the Inbox, of whom it is | `intake`, `notices` | 1, or 2 where people go by several ids |
//! | Bond, and Vigil beside it | `turns` | 1 |
//! | heartbeat, loss of the Bond | `heartbeat` | 1 each third of the TTL |
//! | Memory and history | `answer` | 1 |
//! | Scouts | `scouts` | 1, where the Spirit remembers people |
//! | what became of a Rite that is resumed | `rites` | 4, where there is one |
//! | Pathfinder | `route` | |
//! | files that came with messages | `attachments` | 1 for each, if an Oracle takes it |
//! | Oracle ⇄ Actions | `converse`, `ask`, `act` | 1 for each round of Actions |
//! | what is heard while it is made | `aloud` | 2, and 1 for each second |
//! | Vigil, again and fenced, then Voice | `speak` | 2 |
//! | Echoes, Chronicle, Memory; finish and let go | `record` | 2 |
//!
//! Off the path of any Pulse, `imprint` draws facts about people from conversations that are finished.
//!
//! Requests to different ports that do not depend on one another are made side by side, so that a store which pipelines
//! answers them in one trip. None of them grows with the length of the conversation.

mod act;
mod aloud;
mod answer;
mod ask;
mod attachments;
mod attend;
pub mod breaker;
mod builder;
pub mod choices;
mod converse;
mod effects;
mod flight;
mod heartbeat;
pub mod history;
pub mod human;
mod imprint;
mod intake;
mod notices;
mod quotes;
mod record;
mod rites;
mod route;
mod scouts;
mod speak;
mod trace;
mod turns;
mod wake;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use builder::{BuildError, WeaveBuilder};
pub use human::{HandoverError, ReplyError};
pub use imprint::CorrectError;
pub use intake::{Receipt, ReceiveError};
pub use rites::Decided;
pub use wake::Woken;

use self::{
    aloud::Aloud,
    answer::{Answer, Session},
    converse::{Next, Said},
    flight::Flight,
    record::Recorded,
    trace::Trace,
    turns::{Entered, Holding},
};
use crate::{
    error::StoreError,
    handover::Handover,
    imprint::Remembering,
    names::{SpiritName, VoiceName},
    observe::Observer,
    ports::{
        Attachments, Bond, Chronicle, Contacts, Echoes, Imprint, Inbox, Memory, Pathfinder, Rites,
        Vigil, Voice, inbox::Delivery, memory::Recollection,
    },
    pulse::Outcome,
    spirit::{BondSettings, Calling, Spirit},
};

/// The engine of one Spirit and those that it routes to. Cheap to clone; clones are the same Weave.
#[derive(Clone)]
pub struct Weave(Arc<Inner>);

struct Inner {
    name: SpiritName,
    bond: Arc<dyn Bond>,
    inbox: Arc<dyn Inbox>,
    echoes: Arc<dyn Echoes>,
    chronicle: Arc<dyn Chronicle>,
    memory: Arc<dyn Memory>,
    vigil: Arc<dyn Vigil>,
    handover: Handover,
    calling: Calling,
    rites: Option<Arc<dyn Rites>>,
    rite_changes: tokio::sync::watch::Sender<u64>,
    attachments: Option<Arc<dyn Attachments>>,
    contacts: Option<Arc<dyn Contacts>>,
    imprint: Option<Arc<dyn Imprint>>,
    remembering: Option<Remembering>,
    facts_kept_for: Duration,
    voices: BTreeMap<VoiceName, Arc<dyn Voice>>,
    front: Arc<Spirit>,
    spirits: BTreeMap<SpiritName, Arc<Spirit>>,
    pathfinder: Option<Arc<dyn Pathfinder>>,
    observer: Arc<dyn Observer>,
    settings: BondSettings,
    flight: Flight,
}

/// Why a Weave stopped without an end. Its Pulse stays in the Inbox, and is taken again when its lease has ended.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// Infrastructure failed. Nothing is known to be wrong with the Pulse.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another has the session now, or may have.
    #[error("the Bond was lost")]
    BondLost,
    /// The session stayed locked for longer than a dead pod's Bond can.
    #[error("the session stayed locked by another")]
    StillHeld,
}

/// How a turn ended.
struct Ended {
    outcome: Outcome,
    reason: String,
}

impl Ended {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
        }
    }
}

impl Weave {
    /// The Spirit whose webhooks these are.
    #[must_use]
    pub fn name(&self) -> &SpiritName {
        &self.0.name
    }

    /// How many Pulses are in work.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.flight.count()
    }

    /// Takes no new Pulses, and waits for those in work, for `grace` at most. What is not finished then stays in the
    /// Inbox, and another pod takes it when its lease ends.
    pub async fn drain(&self, grace: Duration) {
        self.0.flight.drain();
        let _ = tokio::time::timeout(grace, self.0.flight.landed()).await;
    }

    /// Takes one Pulse through the pipeline, to its end or until something stops it. What is stopped is not lost: it is
    /// still in the Inbox.
    pub async fn weave(&self, delivery: Delivery) {
        if let Err(stopped) = self.0.weave(delivery).await {
            tracing::warn!(reason = %stopped, "a Pulse was put off; it stays in the Inbox");
        }
    }
}

impl Inner {
    async fn weave(&self, delivery: Delivery) -> Result<(), Stopped> {
        let mut trace = self.trace();
        match self.enter(&delivery, &mut trace).await? {
            Entered::Ours(holding) => self.take_turns(holding, delivery, trace).await,
            Entered::Waiting => Ok(()),
            Entered::Ended(ended) => self.end_without_turn(&delivery, ended, trace).await,
        }
    }

    /// One turn, under the Bond: from what the person sent to what the Spirit says.
    async fn turn(
        &self,
        holding: &Holding,
        mut answer: Answer<'_>,
        mut trace: Trace,
    ) -> Result<Recorded, Stopped> {
        let mut recollection = None;
        let mut ended = self
            .answer(holding, &mut answer, &mut recollection, &mut trace)
            .await?;
        ended.reason = answer.accounts(&ended.reason);
        answer.heard_out(ended.outcome);
        self.record(holding, answer, recollection, ended, trace)
            .await
    }

    async fn answer(
        &self,
        holding: &Holding,
        answer: &mut Answer<'_>,
        recollection: &mut Option<Recollection>,
        trace: &mut Trace,
    ) -> Result<Ended, Stopped> {
        self.settle_rites(holding, answer, trace).await?;
        let Some(voice) = self.voices.get(&answer.pulse().session.voice) else {
            return Ok(Ended::new(
                Outcome::Failed,
                "the Spirit no longer has the voice that this came from",
            ));
        };
        if let Some(ended) = answer.spoken_before(voice.as_ref()) {
            return Ok(ended);
        }
        if let Some(ended) = self.parked_before(answer).await? {
            return Ok(ended);
        }
        let mut session = match self.recall(answer, holding.watched, trace).await? {
            Ok(session) => session,
            Err(ended) => return Ok(ended),
        };
        self.summon_by_rule(answer.pulse()).await?;
        let attending = self.attend(voice, answer.pulse());
        let mut spirit = match answer.resumes() {
            Some(asked) => self.spirits.get(asked).unwrap_or(&self.front),
            None => self.find_out(answer, &mut session, trace).await?,
        };
        answer.aloud = Aloud::begin(voice.as_ref(), answer.pulse(), holding);
        let key = answer.pulse().session.clone();
        let said = loop {
            self.load(spirit, &key, &mut session, trace).await;
            match self.converse(spirit, answer, &mut session, trace).await? {
                Ok(Next::Pass(to)) => {
                    spirit = self.hand_over(&to, answer, &mut session, trace).await;
                }
                Ok(Next::Say(said)) => break Ok(said),
                Err(ended) => break Err(ended),
            }
        };
        drop(attending);
        *recollection = session.changed.then_some(session.recollection);
        match said {
            Ok(Said::Words(text)) => {
                self.speak(holding, answer, voice.as_ref(), text, trace)
                    .await
            }
            Ok(Said::Waits(notice)) => {
                self.give_notice(holding, answer, voice.as_ref(), notice, trace)
                    .await
            }
            Err(ended) => Ok(ended),
        }
    }

    /// Scouts and Pathfinder: what there is to know, and who answers.
    async fn find_out(
        &self,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> Result<&Spirit, Stopped> {
        self.scout(&self.front.scouts, answer, session, trace).await;
        let spirit = self.route(answer, session, trace).await?;
        if spirit.name != self.name {
            self.scout(&spirit.scouts, answer, session, trace).await;
        }
        Ok(spirit)
    }

    fn trace(&self) -> Trace {
        Trace::start(self.name.clone(), Arc::clone(&self.observer))
    }
}
