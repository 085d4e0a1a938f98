//! A Chronicle in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        chronicle::{Chronicle, Deed, Entry},
        inbox::REMEMBERED,
        vigil::Target,
    },
};

use super::NEWEST;
use crate::redis::{LazyScript, Redis, decode_all, encode, millis, script};

static APPEND: LazyScript = script!("chronicle_append.lua");

/// How long a session's entries are kept after the last, where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A Chronicle in Redis. Keeps the newest [`NEWEST`] entries of a session for 90 days after the last, or as
/// [`keeping`](Self::keeping) says; a Pulse is found among them by its id for as long as
/// the Inbox remembers that.
#[derive(Clone, Debug)]
pub struct RedisChronicle {
    redis: Redis,
    newest: usize,
    ttl: Duration,
}

impl RedisChronicle {
    /// The Chronicle of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            newest: NEWEST,
            ttl: KEPT,
        }
    }

    /// Keeps the `newest` entries of a session, at least one, for `ttl` after the last.
    #[must_use]
    pub fn keeping(self, newest: usize, ttl: Duration) -> Self {
        Self {
            newest: newest.max(1),
            ttl,
            ..self
        }
    }

    async fn last(&self, key: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut read = redis::cmd("LRANGE");
        read.arg(key).arg(format!("-{most}")).arg(-1);
        let entries: Vec<String> = self.redis.run(&read, key).await?;
        decode_all(&entries, key)
    }
}

#[async_trait]
impl Chronicle for RedisChronicle {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let scope = self.redis.scope();
        let key = scope.of("chronicle", &entry.session);
        let mut call = APPEND.with(&[&key, &scope.of("chronicle-pulse", &entry.pulse)]);
        call.arg(encode(entry, &key)?)
            .arg(self.newest)
            .arg(millis(self.ttl))
            .arg(entry.session.to_string())
            .arg(millis(REMEMBERED));
        self.redis.eval(&APPEND, &call, &key).await
    }

    async fn did(&self, deed: &Deed) -> Result<(), StoreError> {
        let key = self.redis.scope().of("deeds", &deed.about);
        let mut write = redis::pipe();
        write
            .cmd("ZADD")
            .arg(&key)
            .arg("NX")
            .arg(deed.at.as_millisecond())
            .arg(encode(deed, &key)?)
            .ignore();
        write
            .cmd("ZREMRANGEBYRANK")
            .arg(&key)
            .arg(0)
            .arg(format!("-{}", self.newest.saturating_add(1)))
            .ignore();
        write
            .cmd("PEXPIRE")
            .arg(&key)
            .arg(millis(self.ttl))
            .ignore();
        self.redis.run_all(&write, &key).await
    }

    async fn deeds(&self, about: &Target, most: usize) -> Result<Vec<Deed>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let key = self.redis.scope().of("deeds", about);
        let mut read = redis::cmd("ZRANGE");
        read.arg(&key)
            .arg(format!("-{}", most.min(self.newest)))
            .arg(-1);
        let deeds: Vec<String> = self.redis.run(&read, &key).await?;
        decode_all(&deeds, &key)
    }

    async fn of_pulse(&self, id: &PulseId) -> Result<Vec<Entry>, StoreError> {
        let scope = self.redis.scope();
        let key = scope.of("chronicle-pulse", id);
        let mut look = redis::cmd("GET");
        look.arg(&key);
        let session: Option<String> = self.redis.run(&look, &key).await?;
        let Some(session) = session else {
            return Ok(Vec::new());
        };
        let mut entries = self
            .last(&scope.of("chronicle", session), self.newest)
            .await?;
        entries.retain(|entry| entry.pulse == *id);
        Ok(entries)
    }

    async fn of_session(
        &self,
        session: &SessionKey,
        most: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let key = self.redis.scope().of("chronicle", session);
        self.last(&key, most.min(self.newest)).await
    }
}
