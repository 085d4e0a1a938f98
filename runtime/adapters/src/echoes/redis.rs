//! An Echo store in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{bond::Fence, echoes::Echoes},
};

use super::NEWEST;
use crate::redis::{FENCE_REMEMBERED, LazyScript, Redis, decode_all, encode, millis, script};

static APPEND: LazyScript = script!("echoes_append.lua");

/// How long a conversation is kept after its last word, where nothing else is said.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Among how many of the last Echoes an id is looked for, so that writing again after a crash is safe.
const KNOWN_IDS: usize = 100;

/// An Echo store in Redis. Keeps the newest [`NEWEST`] Echoes of a session for 90 days after the last, or as
/// [`keeping`](Self::keeping) says.
#[derive(Clone, Debug)]
pub struct RedisEchoes {
    redis: Redis,
    newest: usize,
    ttl: Duration,
}

impl RedisEchoes {
    /// The conversations of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            newest: NEWEST,
            ttl: KEPT,
        }
    }

    /// Keeps the `newest` Echoes of a session, at least one, for `ttl` after the last.
    #[must_use]
    pub fn keeping(self, newest: usize, ttl: Duration) -> Self {
        Self {
            newest: newest.max(1),
            ttl,
            ..self
        }
    }
}

#[async_trait]
impl Echoes for RedisEchoes {
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError> {
        let scope = self.redis.scope();
        let key = scope.of("echoes", session);
        let keys = [
            &*key,
            &scope.of("echoes-ids", session),
            &scope.of("echoes-fence", session),
        ];
        let mut call = APPEND.with(&keys);
        match fence {
            Some(fence) => call.arg(fence.0),
            None => call.arg(""),
        };
        call.arg(millis(FENCE_REMEMBERED))
            .arg(self.newest)
            .arg(KNOWN_IDS)
            .arg(millis(self.ttl));
        for echo in echoes {
            call.arg(&echo.id).arg(encode(echo, &key)?);
        }
        match (
            self.redis.eval::<Option<u64>>(&APPEND, &call, &key).await?,
            fence,
        ) {
            (Some(newest), Some(offered)) => Err(StoreError::Fenced {
                offered,
                newest: Fence(newest),
            }),
            _ => Ok(()),
        }
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let key = self.redis.scope().of("echoes", session);
        let mut read = redis::cmd("LRANGE");
        read.arg(&key)
            .arg(format_args!("-{}", most.min(self.newest)).to_string())
            .arg(-1);
        let echoes: Vec<String> = self.redis.run(&read, &key).await?;
        decode_all(&echoes, &key)
    }
}
