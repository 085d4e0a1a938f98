//! Saying a reply while it is being made, to whoever listens on the voice for it.
//!
//! What is said aloud keeps the promise of the Vigil as any reply does: a permit is asked for before the first piece, and
//! again before any piece that comes more than a second after it. The first that is denied ends the Oracle's answer and the
//! stream. Permits are short, so a takeover waits for a second or so, and not for the end of the answer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{Inner, answer::Answer, turns::Holding};
use crate::{
    echo::EchoBody,
    names::{PulseId, SessionKey},
    ports::{
        Voice,
        bond::Fence,
        inbox::Speech,
        vigil::Permit,
        voice::{Listener, Piece},
    },
    pulse::{Outcome, Pulse},
    tool::ToolCall,
};

/// How long one permit lasts.
const PERMIT: Duration = Duration::from_secs(5);
/// How old a permit may be when a piece is said; then it is asked for again.
const FRESH: Duration = Duration::from_secs(1);

/// A reply that is heard while it is being made.
pub(super) struct Aloud {
    listener: Box<dyn Listener>,
    session: SessionKey,
    pulse: PulseId,
    fence: Fence,
    /// When the permit was asked for that was given last.
    permit: Option<Instant>,
    /// When a store last failed that permit or mark are kept in: nothing is said then, and for a moment nobody asks again.
    unknown: Option<Instant>,
    /// The Inbox knows that something may have been said.
    marked: bool,
    /// What the listener has heard, and was not told to forget.
    heard: String,
}

/// A human has the conversation, or is taking it.
pub(super) struct Silenced;

/// What an Oracle has said and nobody has heard yet. The Oracle bounds it.
#[derive(Default)]
pub(super) struct Coming {
    text: Mutex<String>,
    more: Notify,
}

impl Coming {
    pub(super) fn add(&self, piece: &str) {
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(piece);
        self.more.notify_one();
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }
}

impl Aloud {
    /// Begins, if somebody listens.
    pub(super) fn begin(voice: &dyn Voice, pulse: &Pulse, holding: &Holding) -> Option<Self> {
        let mut listener = voice.listen(&pulse.id)?;
        // An earlier attempt at this Pulse may have been heard in part.
        listener.hear(Piece::Again);
        Some(Self {
            listener,
            session: pulse.session.clone(),
            pulse: pulse.id.clone(),
            fence: holding.guard.fence,
            permit: None,
            unknown: None,
            marked: false,
            heard: String::new(),
        })
    }

    /// What was heard so far is no part of the answer: the Oracle failed in the middle, or wants tools called first.
    pub(super) fn again(&mut self) {
        if !std::mem::take(&mut self.heard).is_empty() {
            self.listener.hear(Piece::Again);
        }
    }

    /// These tools are being called.
    pub(super) fn call(&mut self, calls: &[ToolCall]) {
        for call in calls {
            self.listener.hear(Piece::Tool(&call.name));
        }
    }
}

impl Answer<'_> {
    /// The turn has ended. What was heard when a human took over is in the conversation.
    pub(super) fn heard_out(&mut self, outcome: Outcome) {
        let Some(mut aloud) = self.aloud.take() else {
            return;
        };
        self.permitted |= aloud.permit.is_some();
        if outcome == Outcome::Vigil {
            aloud.listener.hear(Piece::Silence);
            if !aloud.heard.is_empty() {
                self.add(EchoBody::Agent {
                    spirit: self.spirit.clone(),
                    text: aloud.heard,
                    calls: Vec::new(),
                });
            }
        }
    }
}

impl Inner {
    /// Passes on what comes, until a human takes over. To be dropped when nothing comes any more.
    pub(super) async fn pass_on(&self, aloud: &mut Aloud, coming: &Coming) -> Silenced {
        loop {
            coming.more.notified().await;
            if let Err(silenced) = self.pass(aloud, coming).await {
                return silenced;
            }
        }
    }

    /// Passes on what has come. Without a store to ask for a permit nothing is passed on; it is all said in the end.
    pub(super) async fn pass(&self, aloud: &mut Aloud, coming: &Coming) -> Result<(), Silenced> {
        if !coming.is_empty() && self.may_speak(aloud).await? {
            let text = coming.take();
            aloud.heard.push_str(&text);
            aloud.listener.hear(Piece::Text(&text));
        }
        Ok(())
    }

    async fn may_speak(&self, aloud: &mut Aloud) -> Result<bool, Silenced> {
        if aloud.unknown.is_some_and(|asked| asked.elapsed() < FRESH) {
            return Ok(false);
        }
        if aloud.permit.is_some_and(|asked| asked.elapsed() < FRESH) {
            return Ok(true);
        }
        let asked = Instant::now();
        let permit = self
            .vigil
            .begin_speaking(&aloud.session, aloud.fence, PERMIT);
        match permit.await {
            Ok(Permit::Granted) => aloud.permit = Some(asked),
            Ok(Permit::Human(_)) => return Err(Silenced),
            Err(error) => {
                tracing::warn!(%error, "a reply is not said while it is made: there is no permit");
                aloud.unknown = Some(asked);
                return Ok(false);
            }
        }
        // The permit first and the mark second, as for any reply.
        if !aloud.marked {
            if let Err(error) = self.inbox.mark(&aloud.pulse, Speech::Unknown).await {
                tracing::warn!(%error, "a reply is not said while it is made: it cannot be marked");
                aloud.unknown = Some(asked);
                return Ok(false);
            }
            aloud.marked = true;
        }
        Ok(asked.elapsed() < PERMIT / 2)
    }

    /// Gives the permit back while nothing is said, so that nobody who takes over waits for it.
    pub(super) async fn pause(&self, aloud: &mut Aloud) {
        if aloud.permit.take().is_some()
            && let Err(error) = self.vigil.end_speaking(&aloud.session, aloud.fence).await
        {
            tracing::debug!(%error, "a permit was not given back; it ends by itself");
        }
    }
}
