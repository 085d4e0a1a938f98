//! An Inbox in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    Pulse, PulseId, StoreError,
    ports::inbox::{Acceptance, Delivery, Depth, Due, Inbox, REMEMBERED, Speech},
};

use crate::redis::{LazyScript, Redis, STORE, encode, micros, millis, script};

static ACCEPT: LazyScript = script!("inbox_accept.lua");
static RECLAIM: LazyScript = script!("inbox_reclaim.lua");
static RECLAIM_ONE: LazyScript = script!("inbox_reclaim_one.lua");
static CLAIM: LazyScript = script!("inbox_claim.lua");
static RENEW: LazyScript = script!("inbox_renew.lua");
static MARK: LazyScript = script!("inbox_mark.lua");
static FINISH: LazyScript = script!("inbox_finish.lua");

/// How long an Inbox that nobody looks after is kept.
const ABANDONED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most Pulses of one step: what a script can unpack, with room.
const MOST: usize = 1000;

/// An Inbox in Redis, for every pod that uses the same Redis and [`Scope`](crate::redis::Scope). It outlives the pods, and
/// Redis too where that keeps its data (`appendonly yes`).
#[derive(Clone, Debug)]
pub struct RedisInbox {
    pulses: String,
    leases: String,
    order: String,
    attempts: String,
    speech: String,
    redis: Redis,
}

impl RedisInbox {
    /// The Inbox of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let scope = redis.scope();
        Self {
            pulses: scope.only("inbox"),
            leases: scope.only("inbox-leases"),
            order: scope.only("inbox-order"),
            attempts: scope.only("inbox-attempts"),
            speech: scope.only("inbox-speech"),
            redis,
        }
    }

    /// The Pulses that a script gave. One that cannot be read is left where it is, so that it does not hold up the rest.
    fn deliveries(&self, found: Vec<(String, String, u32, u8)>) -> Vec<Delivery> {
        let delivery = |(id, pulse, retries, speech): (String, String, u32, u8)| {
            match serde_json::from_str(&pulse) {
                Ok(pulse) => Some(Delivery {
                    pulse,
                    attempt: retries.saturating_add(1),
                    speech: spoken(speech),
                }),
                Err(error) => {
                    tracing::error!(pulse = id, key = self.pulses, %error, "a Pulse in the Inbox cannot be read");
                    None
                }
            }
        };
        found.into_iter().filter_map(delivery).collect()
    }
}

fn spoken(digit: u8) -> Speech {
    match digit {
        0 => Speech::Silent,
        2 => Speech::Spoken,
        // A word from a newer version: something may have been said.
        _ => Speech::Unknown,
    }
}

fn digit(speech: Speech) -> u8 {
    match speech {
        Speech::Silent => 0,
        Speech::Unknown => 1,
        Speech::Spoken => 2,
    }
}

#[async_trait]
impl Inbox for RedisInbox {
    async fn accept(
        &self,
        pulses: &[Pulse],
        lease: Duration,
    ) -> Result<Vec<Acceptance>, StoreError> {
        if pulses.is_empty() {
            return Ok(Vec::new());
        }
        let seen: Vec<String> = pulses
            .iter()
            .map(|pulse| self.redis.scope().of("seen", &pulse.id))
            .collect();
        let mut keys = vec![self.pulses.as_str(), &self.leases, &self.order];
        keys.extend(seen.iter().map(String::as_str));
        let mut call = ACCEPT.with(&keys);
        call.arg(micros(lease))
            .arg(millis(REMEMBERED))
            .arg(millis(ABANDONED));
        for pulse in pulses {
            call.arg(pulse.id.as_str())
                .arg(encode(pulse, &self.pulses)?);
        }
        let news: Vec<bool> = self.redis.eval(&ACCEPT, &call, &self.pulses).await?;
        Ok(news
            .into_iter()
            .map(|new| {
                if new {
                    Acceptance::New
                } else {
                    Acceptance::Duplicate
                }
            })
            .collect())
    }

    async fn reclaim(&self, most: usize, lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        let mut call = RECLAIM.with(&[
            &self.pulses,
            &self.leases,
            &self.order,
            &self.attempts,
            &self.speech,
        ]);
        call.arg(most.min(MOST))
            .arg(micros(lease))
            .arg(millis(ABANDONED));
        let found = self.redis.eval(&RECLAIM, &call, &self.pulses).await?;
        Ok(self.deliveries(found))
    }

    async fn reclaim_one(&self, id: &PulseId, lease: Duration) -> Result<Due, StoreError> {
        let mut call = RECLAIM_ONE.with(&[
            &self.pulses,
            &self.leases,
            &self.order,
            &self.attempts,
            &self.speech,
        ]);
        call.arg(id.as_str())
            .arg(micros(lease))
            .arg(millis(ABANDONED));
        let found: Option<(Option<String>, u64, u8)> =
            self.redis.eval(&RECLAIM_ONE, &call, &self.pulses).await?;
        match found {
            None => Ok(Due::Gone),
            Some((None, micros, _)) => Ok(Due::Leased(Duration::from_micros(micros))),
            Some((Some(pulse), retries, speech)) => {
                let pulse = serde_json::from_str(&pulse).map_err(|error| {
                    StoreError::unreadable(STORE, format!("{} {id}", self.pulses), error)
                })?;
                Ok(Due::Yours(Box::new(Delivery {
                    pulse,
                    attempt: u32::try_from(retries).unwrap_or(u32::MAX).saturating_add(1),
                    speech: spoken(speech),
                })))
            }
        }
    }

    async fn claim(&self, ids: &[PulseId], lease: Duration) -> Result<Vec<Delivery>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = CLAIM.with(&[&self.pulses, &self.leases, &self.attempts, &self.speech]);
        call.arg(micros(lease));
        for id in ids {
            call.arg(id.as_str());
        }
        let found = self.redis.eval(&CLAIM, &call, &self.pulses).await?;
        Ok(self.deliveries(found))
    }

    async fn renew(&self, id: &PulseId, attempt: u32, lease: Duration) -> Result<bool, StoreError> {
        let mut call = RENEW.with(&[&self.pulses, &self.leases, &self.attempts]);
        call.arg(id.as_str())
            .arg(attempt.saturating_sub(1))
            .arg(micros(lease));
        self.redis.eval(&RENEW, &call, &self.pulses).await
    }

    async fn mark(&self, id: &PulseId, speech: Speech) -> Result<(), StoreError> {
        let mut call = MARK.with(&[&self.pulses, &self.speech]);
        call.arg(id.as_str())
            .arg(digit(speech))
            .arg(millis(ABANDONED));
        self.redis.eval(&MARK, &call, &self.pulses).await
    }

    async fn finish(&self, ids: &[PulseId]) -> Result<(), StoreError> {
        for ids in ids.chunks(MOST) {
            let mut call = FINISH.with(&[
                &self.pulses,
                &self.leases,
                &self.order,
                &self.attempts,
                &self.speech,
            ]);
            for id in ids {
                call.arg(id.as_str());
            }
            self.redis.eval::<()>(&FINISH, &call, &self.pulses).await?;
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, StoreError> {
        let mut look = redis::pipe();
        look.cmd("ZCARD")
            .arg(&self.order)
            .cmd("ZRANGE")
            .arg(&self.order)
            .arg(0)
            .arg(0)
            .arg("WITHSCORES")
            .cmd("TIME");
        let (pulses, oldest, (seconds, micros)): (u64, Vec<(String, f64)>, (u64, u64)) =
            self.redis.run_all(&look, &self.order).await?;
        let now = Duration::from_secs(seconds) + Duration::from_micros(micros);
        let since = oldest
            .first()
            .and_then(|(_, since)| Duration::try_from_secs_f64(since / 1e6).ok());
        Ok(Depth {
            pulses,
            oldest: since
                .map(|since| now.saturating_sub(since))
                .unwrap_or_default(),
        })
    }
}
