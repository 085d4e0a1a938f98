//! Holding on to the Bond and the Inbox's leases while a Weave works, and noticing when they are lost.

use std::{future::Future, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Inner, Stopped, turns::Holding};
use crate::{names::PulseId, observe::Event};

impl Inner {
    /// Does `work` for as long as the Bond is held. When it is lost, the work is dropped where it stands.
    pub(super) async fn while_held<T>(
        &self,
        holding: &Holding,
        leased: &[(PulseId, u32)],
        work: impl Future<Output = T>,
    ) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.beat(holding, leased) => {
                self.observer.observe(Event::BondLost { spirit: &self.name });
                Err(Stopped::BondLost)
            }
        }
    }

    /// Extends the Bond and renews the leases every third of the TTL. Ends when they are lost, or when they could not be
    /// extended for so long that they may be.
    async fn beat(&self, holding: &Holding, leased: &[(PulseId, u32)]) {
        let ttl = self.settings.ttl;
        // A margin for the store's clock and ours to differ in their pace.
        let safe = ttl - ttl / 50 - Duration::from_millis(2).min(ttl / 10);
        let mut ours_until = Instant::now() + safe;
        let mut next = Instant::now() + ttl / 3;
        loop {
            sleep_until(next.min(ours_until)).await;
            let asked = Instant::now();
            if asked >= ours_until {
                tracing::warn!("the Bond could not be extended in time");
                return;
            }
            let renewed = join_all(
                leased
                    .iter()
                    .map(|(id, attempt)| self.inbox.renew(id, *attempt, self.lease())),
            );
            let held = async { tokio::join!(self.bond.extend(&holding.guard, ttl), renewed) };
            match timeout(ours_until - asked, held).await {
                Ok((Ok(true), renewed))
                    if !renewed.iter().any(|renewed| matches!(renewed, Ok(false))) =>
                {
                    ours_until = asked + safe;
                    next = asked + ttl / 3;
                }
                Ok((Ok(_), _)) => return,
                Ok((Err(error), _)) => {
                    tracing::warn!(%error, "the Bond could not be extended; trying again");
                    next = asked + ttl / 10;
                }
                Err(_) => {}
            }
        }
    }
}
