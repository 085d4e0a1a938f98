//! Carries one order out, against the Vigil port.

use std::{sync::Arc, time::Duration};

use eywa_weave::{
    Echo, EchoBody, StoreError,
    ports::{
        Echoes, Vigil,
        vigil::{Phase, Target, Watch},
    },
};
use jiff::Timestamp;

use super::order::Order;

/// Who gives a conversation back when the object does not say: an empty name means that it was for lack of activity.
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
    vigil: Arc<dyn Vigil>,
    echoes: Arc<dyn Echoes>,
    release_after: Duration,
}

impl Keeper {
    /// A keeper of one Spirit's Vigils. `release_after` is the Spirit's own idle time; zero for never.
    pub fn new(vigil: Arc<dyn Vigil>, echoes: Arc<dyn Echoes>, release_after: Duration) -> Self {
        Self {
            vigil,
            echoes,
            release_after,
        }
    }

    /// What holds for the order's target.
    pub(super) async fn state(&self, order: &Order) -> Result<Watch, StoreError> {
        self.vigil.state(&order.target).await
    }

    /// Does what is needed, and gives what holds then.
    pub(super) async fn satisfy(
        &self,
        order: &Order,
        need: Need,
        watch: Watch,
        now: Timestamp,
    ) -> Result<Watch, StoreError> {
        let watch = match need {
            Need::Nothing => watch,
            Need::TakeOver => {
                self.vigil.take_over(&order.target, &order.by, now).await?;
                self.vigil.settle(&order.target, now).await?
            }
            Need::Settle => self.vigil.settle(&order.target, now).await?,
            Need::GiveBack => {
                self.give_back(&order.target, &watch, by_name(order), now)
                    .await?
            }
        };
        if watch.phase == Phase::Active && order.takeover && !order.done {
            let by = watch.by.clone();
            self.mark(
                &order.target,
                &watch,
                "took-over",
                EchoBody::TookOver { by },
                now,
            )
            .await?;
        }
        Ok(watch)
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
        Ok((self.give_back(&order.target, &watch, "", now).await?, None))
    }

    /// The object is gone: whoever had its conversation gives it back.
    pub(super) async fn dismiss(&self, order: &Order, now: Timestamp) -> Result<(), StoreError> {
        let watch = self.vigil.state(&order.target).await?;
        if watch.phase.is_human() {
            self.give_back(&order.target, &watch, by_name(order), now)
                .await?;
        }
        Ok(())
    }

    /// The mark comes first: the Spirit never answers without knowing that it has the conversation again.
    async fn give_back(
        &self,
        target: &Target,
        watch: &Watch,
        by: &str,
        now: Timestamp,
    ) -> Result<Watch, StoreError> {
        if watch.phase == Phase::Active {
            self.mark(
                target,
                watch,
                "gave-back",
                EchoBody::GaveBack { by: by.to_owned() },
                now,
            )
            .await?;
        }
        self.vigil.release(target, by, now).await
    }

    /// Writes into the conversation that it changed hands. A Vigil over every conversation has none to write into.
    async fn mark(
        &self,
        target: &Target,
        watch: &Watch,
        what: &str,
        body: EchoBody,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let Target::Session(session) = target else {
            return Ok(());
        };
        let since = watch.since.map_or(0, Timestamp::as_millisecond);
        let echo = Echo {
            id: format!("vigil-{since}-{what}"),
            at,
            pulse: None,
            body,
        };
        self.echoes.append(session, None, &[echo]).await
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
