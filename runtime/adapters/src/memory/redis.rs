//! A Memory in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        bond::Fence,
        memory::{Heard, Memory, Recollection, Tally},
    },
};

use super::HEARD_FOR;
use crate::redis::{FENCE_REMEMBERED, LazyScript, Redis, decode, encode, millis, script};

static KEEP: LazyScript = script!("memory_keep.lua");
static HEAR: LazyScript = script!("memory_hear.lua");
static TALLY: LazyScript = script!("memory_tally.lua");

/// A Memory in Redis.
#[derive(Clone, Debug)]
pub struct RedisMemory {
    redis: Redis,
}

impl RedisMemory {
    /// The Memory of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl Memory for RedisMemory {
    async fn recall(&self, session: &SessionKey) -> Result<Recollection, StoreError> {
        let key = self.redis.scope().of("memory", session);
        let mut read = redis::cmd("GET");
        read.arg(&key);
        let kept: Option<String> = self.redis.run(&read, &key).await?;
        kept.map_or_else(|| Ok(Recollection::default()), |json| decode(&json, &key))
    }

    async fn keep(
        &self,
        session: &SessionKey,
        fence: Fence,
        recollection: &Recollection,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let scope = self.redis.scope();
        let key = scope.of("memory", session);
        let mut call = KEEP.with(&[&key, &scope.of("memory-fence", session)]);
        call.arg(fence.0)
            .arg(millis(ttl.max(FENCE_REMEMBERED)))
            .arg(encode(recollection, &key)?)
            .arg(millis(ttl));
        match self.redis.eval::<Option<u64>>(&KEEP, &call, &key).await? {
            Some(newest) => Err(StoreError::Fenced {
                offered: fence,
                newest: Fence(newest),
            }),
            None => Ok(()),
        }
    }

    async fn hear(&self, session: &SessionKey, heard: &Heard) -> Result<(), StoreError> {
        let key = self.redis.scope().of("heard", session);
        let mut call = HEAR.with(&[&key]);
        call.arg(heard.at.as_millisecond())
            .arg(encode(heard, &key)?)
            .arg(millis(HEARD_FOR));
        self.redis.eval(&HEAR, &call, &key).await
    }

    async fn last_heard(&self, session: &SessionKey) -> Result<Option<Heard>, StoreError> {
        let key = self.redis.scope().of("heard", session);
        let mut read = redis::cmd("GET");
        read.arg(&key);
        let kept: Option<String> = self.redis.run(&read, &key).await?;
        kept.map(|kept| {
            let (_, json) = kept.split_once(' ').unwrap_or_default();
            decode(json, &key)
        })
        .transpose()
    }

    async fn tally(&self, session: &SessionKey, tally: Tally, add: u64) -> Result<u64, StoreError> {
        let kind = match tally {
            Tally::Pulses => "tally-pulses",
            Tally::Tokens => "tally-tokens",
        };
        let key = self.redis.scope().of(kind, session);
        let mut call = TALLY.with(&[&key]);
        call.arg(add).arg(millis(tally.window()));
        self.redis.eval(&TALLY, &call, &key).await
    }
}
