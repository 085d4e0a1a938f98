//! Carries one order out.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    Handover, StoreError,
    ports::{
        Echoes,
        vigil::{Phase, ReleaseReason, Target, Watch},
    },
};
use jiff::Timestamp;

use super::order::Order;

/// Who gives a conversation back when the object does not say.
const SOMEONE: &str = "someone";

/// What an order needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: the store has what it asks for, or has moved on.
    Nothing,
    /// A human is to get the conversation.
    TakeOver,
    /// The takeover has begun; a reply in flight is waited for.
    Settle,
    /// The Spirit is to get it back, because the object says so.
    GiveBack,
}

impl Need {
    /// What `order` needs, where the store says `watch`.
    pub(super) fn of(order: &Order, watch: &Watch) -> Self {
        match (order.takeover, watch.phase) {
            (true, Phase::TakingOver) => Self::Settle,
            (true, Phase::Watching | Phase::Requested) => Self::TakeOver,
            (true, Phase::Released) if !order.done => Self::TakeOver,
            (false, Phase::TakingOver | Phase::Active) if !order.done => Self::GiveBack,
            _ => Self::Nothing,
        }
    }

    /// Whether it changes who has the conversation, so that the order must still be the object's latest.
    pub(super) fn is_a_change(self) -> bool {
        matches!(self, Self::TakeOver | Self::GiveBack)
    }
}

/// Carries orders out. Everything it does may be done twice, by another pod or after a crash.
pub struct Keeper {
    handover: Handover,
    echoes: Arc<dyn Echoes>,
    release_after: Duration,
}

impl Keeper {
    /// A keeper of one Spirit's Vigils. `release_after` is the Spirit's own idle time; zero for never.
    pub fn new(handover: Handover, echoes: Arc<dyn Echoes>, release_after: Duration) -> Self {
        Self {
            handover,
            echoes,
            release_after,
        }
    }

    /// What holds for a target.
    pub(super) async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        self.handover.state(target).await
    }

    /// What a human has, or is asked to take.
    pub(super) async fn open(&self) -> Result<Vec<(Target, Watch)>, StoreError> {
        self.handover.open().await
    }

    /// Does what is needed, and gives what holds then.
    pub(super) async fn satisfy(
        &self,
        order: &Order,
        need: Need,
        watch: Watch,
        now: Timestamp,
    ) -> Result<Watch, StoreError> {
        let (handover, target) = (&self.handover, &order.target);
        match need {
            Need::Nothing => Ok(watch),
            Need::TakeOver => handover.take_over(target, &order.by, now).await,
            Need::Settle => handover.settle(target, now).await,
            Need::GiveBack => {
                let by = by_name(order);
                handover
                    .give_back(target, by, ReleaseReason::Human, now)
                    .await
            }
        }
    }

    /// It is known to be `Active`: whoever made it so may not have lived to write that down.
    pub(super) async fn has_become_active(
        &self,
        order: &Order,
        watch: &Watch,
    ) -> Result<(), StoreError> {
        self.handover.record_takeover(&order.target, watch).await
    }

    /// Gives the conversation back if nobody has used it for its idle time; otherwise says in how long that may be, if
    /// ever.
    pub(super) async fn release_idle(
        &self,
        order: &Order,
        watch: Watch,
        now: Timestamp,
    ) -> Result<(Watch, Option<Duration>), StoreError> {
        let idle = order.release_after.unwrap_or(self.release_after);
        if watch.phase != Phase::Active || idle.is_zero() {
            return Ok((watch, None));
        }
        let remaining = |last: Option<Timestamp>| {
            let since = last.map_or(Duration::ZERO, |last| {
                Duration::try_from(now.duration_since(last)).unwrap_or_default()
            });
            idle.saturating_sub(since)
        };
        let left = remaining(watch.since.max(watch.last_pulse_at));
        if !left.is_zero() {
            return Ok((watch, Some(left)));
        }
        // What a human wrote is in the conversation alone.
        let left = remaining(self.last_said(&order.target).await?.max(watch.since));
        if !left.is_zero() {
            return Ok((watch, Some(left)));
        }
        let released = self
            .handover
            .give_back(&order.target, "", ReleaseReason::Idle, now);
        Ok((released.await?, None))
    }

    /// The object is gone: whoever had its conversation gives it back.
    pub(super) async fn dismiss(&self, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        let by = by_name(order);
        self.handover
            .give_back(&order.target, by, ReleaseReason::Human, now)
            .await
            .map(drop)
    }

    async fn last_said(&self, target: &Target) -> Result<Option<Timestamp>, StoreError> {
        let Target::Session(session) = target else {
            return Ok(None);
        };
        Ok(self
            .echoes
            .recent(session, 1)
            .await?
            .last()
            .map(|echo| echo.at))
    }
}

fn by_name(order: &Order) -> &str {
    if order.by.is_empty() {
        SOMEONE
    } else {
        &order.by
    }
}
