//! Conversations change hands: from the Spirit to a human and back, with everything that is to be written down of it.
//!
//! Who has a conversation is the [`Vigil`]'s to know. What is made of a change here, beside it: a mark in the
//! conversation, by which the Spirit knows later what happened; a deed in the Chronicle; and news for the
//! [`Herald`]s. Marks and deeds are made from the Vigil's own record, so that making them again, in another process or
//! after a crash, changes nothing.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    echo::{Echo, EchoBody},
    error::StoreError,
    names::{SessionKey, SpiritName},
    ports::{
        Chronicle, Echoes, Herald, Vigil,
        chronicle::{Deed, DeedKind},
        herald::{Happening, News},
        vigil::{Cause, Phase, ReleaseReason, Target, Watch},
    },
    pulse::Pulse,
};

/// The most targets that are listed as open.
const MOST_OPEN: usize = 10_000;
/// Begins the ids of marks about all of a Spirit's conversations.
const OF_EVERYONE: &str = "vigil-all-";

/// Changes who has a Spirit's conversations. Cheap to clone.
#[derive(Clone)]
pub struct Handover {
    spirit: SpiritName,
    vigil: Arc<dyn Vigil>,
    echoes: Arc<dyn Echoes>,
    chronicle: Arc<dyn Chronicle>,
    heralds: Arc<[Arc<dyn Herald>]>,
}

impl Handover {
    /// For the conversations of `spirit`.
    pub fn new(
        spirit: SpiritName,
        vigil: Arc<dyn Vigil>,
        echoes: Arc<dyn Echoes>,
        chronicle: Arc<dyn Chronicle>,
        heralds: Vec<Arc<dyn Herald>>,
    ) -> Self {
        Self {
            spirit,
            vigil,
            echoes,
            chronicle,
            heralds: heralds.into(),
        }
    }

    /// What is known of exactly this target.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        self.vigil.state(target).await
    }

    /// What a human has, or is asked to take: at most 10,000.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn open(&self) -> Result<Vec<(Target, Watch)>, StoreError> {
        self.vigil.open(MOST_OPEN).await
    }

    /// A human takes over. Gives `Active`, or `TakingOver` while a reply in flight is waited for: then to be
    /// [settled](Self::settle). When a human has it already nothing changes, and who that is stands in what is given.
    ///
    /// # Errors
    /// A store's.
    pub async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let had_human = self.vigil.state(target).await?.phase.is_human();
        let watch = self.vigil.take_over(target, by, at).await?;
        if !had_human && watch.since == Some(millis(at)) && watch.by == by {
            self.tell(target, at, Happening::TakenOver { by: by.to_owned() });
        }
        if watch.phase == Phase::TakingOver {
            return self.settle(target, at).await;
        }
        Ok(watch)
    }

    /// Makes `TakingOver` into `Active` if nobody speaks any more, and writes that down.
    ///
    /// # Errors
    /// A store's.
    pub async fn settle(&self, target: &Target, at: Timestamp) -> Result<Watch, StoreError> {
        let watch = self.vigil.settle(target, at).await?;
        if watch.phase == Phase::Active {
            self.record_takeover(target, &watch).await?;
        }
        Ok(watch)
    }

    /// Writes down that a human has the conversation. Again, if that was done before, which changes nothing.
    ///
    /// # Errors
    /// A store's.
    pub async fn record_takeover(&self, target: &Target, watch: &Watch) -> Result<(), StoreError> {
        let Some(since) = watch.since else {
            return Ok(());
        };
        if let Target::Session(session) = target {
            let mark = took_over(target, watch, since);
            self.echoes.append(session, None, &[mark]).await?;
        }
        self.did(target, since, &watch.by, DeedKind::TookOver).await
    }

    /// Gives the conversation back. The mark comes first: the Spirit never answers without knowing that it has the
    /// conversation again. Changes nothing unless a human has it.
    ///
    /// # Errors
    /// A store's.
    pub async fn give_back(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let watch = self.vigil.state(target).await?;
        if !watch.phase.is_human() {
            return Ok(watch);
        }
        if let (Target::Session(session), Phase::Active) = (target, watch.phase) {
            let mark = gave_back(target, &watch, by, reason, at);
            self.echoes.append(session, None, &[mark]).await?;
        }
        let watch = self.vigil.release(target, by, reason, at).await?;
        if watch.released_at == Some(millis(at)) && watch.released_by == by {
            let by = by.to_owned();
            self.tell(target, at, Happening::Released { by, reason });
        }
        if let (Phase::Released, Some(released_at)) = (watch.phase, watch.released_at) {
            let reason = watch.release_reason.unwrap_or(reason);
            let what = DeedKind::GaveBack { reason };
            self.did(target, released_at, &watch.released_by, what)
                .await?;
        }
        Ok(watch)
    }

    /// The Spirit asks for a human. `true` when this is new: nobody had asked before, and no human has it.
    ///
    /// # Errors
    /// The Vigil's.
    pub async fn request(
        &self,
        target: &Target,
        cause: Cause,
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let open = self.vigil.state(target).await?.phase.is_open();
        let watch = self.vigil.request(target, reason, at).await?;
        let new =
            !open && watch.phase == Phase::Requested && watch.requested_at == Some(millis(at));
        if new {
            let reason = reason.to_owned();
            self.tell(target, at, Happening::Requested { cause, reason });
        }
        Ok(new)
    }

    /// The person wrote while a human has the conversation.
    pub(crate) fn wrote(&self, pulse: &Pulse) {
        let about = Target::Session(pulse.session.clone());
        let what = Happening::Wrote {
            pulse: pulse.id.clone(),
            text: pulse.content.text.clone(),
        };
        for herald in self.heralds.iter() {
            herald.tell(&News {
                id: format!("{}/{}/message", self.spirit, pulse.id),
                spirit: self.spirit.clone(),
                about: about.clone(),
                at: pulse.received_at,
                what: what.clone(),
            });
        }
    }

    /// Writes down what a human did.
    ///
    /// # Errors
    /// The Chronicle's.
    pub async fn did(
        &self,
        about: &Target,
        at: Timestamp,
        by: &str,
        what: DeedKind,
    ) -> Result<(), StoreError> {
        let name = match &what {
            DeedKind::TookOver => "took-over".to_owned(),
            DeedKind::GaveBack { .. } => "gave-back".to_owned(),
            DeedKind::Replied { echo } => format!("replied-{echo}"),
            DeedKind::Decided { rite, .. } => format!("decided-{rite}"),
            DeedKind::Forgot { .. } => "forgot".to_owned(),
            DeedKind::Corrected => "corrected".to_owned(),
        };
        let deed = Deed {
            id: format!("{}-{name}", at.as_millisecond()),
            about: about.clone(),
            at: millis(at),
            by: by.to_owned(),
            what,
        };
        self.chronicle.did(&deed).await
    }

    /// The mark that says that a human has all conversations, if one does: it goes into those that the person writes in
    /// meanwhile.
    pub(crate) async fn mark_of_everyone(&self) -> Result<Option<Echo>, StoreError> {
        let watch = self.vigil.state(&Target::Everyone).await?;
        Ok(watch
            .since
            .filter(|_| watch.phase.is_human())
            .map(|since| took_over(&Target::Everyone, &watch, since)))
    }

    /// The mark that is missing at the end of a conversation which the Spirit has, where its last mark says that a human
    /// does: whoever had all conversations gave them back, or a process died in between.
    pub(crate) async fn missing_mark(
        &self,
        session: &SessionKey,
        echoes: &[Echo],
    ) -> Result<Option<Echo>, StoreError> {
        let last = echoes.iter().rev().find(|echo| {
            matches!(
                echo.body,
                EchoBody::TookOver { .. } | EchoBody::GaveBack { .. } | EchoBody::Human { .. }
            )
        });
        let Some(last) = last.filter(|last| !matches!(last.body, EchoBody::GaveBack { .. })) else {
            return Ok(None);
        };
        let own = Target::Session(session.clone());
        let mut targets = [own, Target::Everyone];
        if last.id.starts_with(OF_EVERYONE) {
            targets.reverse();
        }
        for target in &targets {
            let watch = self.vigil.state(target).await?;
            if let (Phase::Released, Some(at)) = (watch.phase, watch.released_at)
                && at >= last.at
            {
                let reason = watch.release_reason.unwrap_or_default();
                let by = watch.released_by.clone();
                return Ok(Some(gave_back(target, &watch, &by, reason, at)));
            }
        }
        // Nobody knows any more how it came back; that it did is what counts.
        Ok(Some(Echo {
            id: format!("{}-gave-back", last.id),
            at: Timestamp::now(),
            pulse: None,
            body: EchoBody::GaveBack {
                by: String::new(),
                reason: ReleaseReason::Idle,
            },
        }))
    }

    fn tell(&self, about: &Target, at: Timestamp, what: Happening) {
        let news = News {
            id: format!(
                "{}/{about}/{}/{}",
                self.spirit,
                at.as_millisecond(),
                what.as_str()
            ),
            spirit: self.spirit.clone(),
            about: about.clone(),
            at,
            what,
        };
        for herald in self.heralds.iter() {
            herald.tell(&news);
        }
    }
}

fn took_over(target: &Target, watch: &Watch, since: Timestamp) -> Echo {
    Echo {
        id: mark_id(target, watch, "took-over"),
        at: since,
        pulse: None,
        body: EchoBody::TookOver {
            by: watch.by.clone(),
        },
    }
}

fn gave_back(
    target: &Target,
    watch: &Watch,
    by: &str,
    reason: ReleaseReason,
    at: Timestamp,
) -> Echo {
    Echo {
        id: mark_id(target, watch, "gave-back"),
        at,
        pulse: None,
        body: EchoBody::GaveBack {
            by: by.to_owned(),
            reason,
        },
    }
}

/// Made of the takeover's time, so that a mark is written once.
fn mark_id(target: &Target, watch: &Watch, what: &str) -> String {
    let since = watch.since.map_or(0, Timestamp::as_millisecond);
    match target {
        Target::Session(_) => format!("vigil-{since}-{what}"),
        Target::Everyone => format!("{OF_EVERYONE}{since}-{what}"),
    }
}

/// A time as stores keep it.
fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
