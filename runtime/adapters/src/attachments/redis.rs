//! Attachments in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::attachments::{Attachments, MOST_BYTES},
    pulse::Media,
};

use crate::redis::{LazyScript, Redis, STORE, millis, script};

static KEEP: LazyScript = script!("attachments_keep.lua");

/// Attachments in Redis. The longest file that is kept is a quarter of [`MOST_BYTES`]: a longer one would hold up
/// everything else on the connection.
#[derive(Clone, Debug)]
pub struct RedisAttachments {
    redis: Redis,
}

impl RedisAttachments {
    /// The Attachments of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl Attachments for RedisAttachments {
    async fn keep(
        &self,
        session: &SessionKey,
        id: &str,
        media: &Media,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        if media.bytes.len() > MOST_BYTES / 4 {
            return Ok(());
        }
        let scope = self.redis.scope();
        let key = scope.of("attachments", session);
        let mut call = KEEP.with(&[&key, &scope.of("attachments-order", session)]);
        call.arg(id)
            .arg(written(media))
            .arg(MOST_BYTES)
            .arg(millis(ttl));
        self.redis.eval(&KEEP, &call, &key).await
    }

    async fn load(&self, session: &SessionKey, id: &str) -> Result<Option<Media>, StoreError> {
        let key = self.redis.scope().of("attachments", session);
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg(id);
        let found: Option<Vec<u8>> = self.redis.run(&get, &key).await?;
        found
            .map(|found| {
                read(&found)
                    .ok_or_else(|| StoreError::unreadable(STORE, &key, "a file without its head"))
            })
            .transpose()
    }
}

/// Media type and name, a line each, and then the bytes.
fn written(media: &Media) -> Vec<u8> {
    let line = |text: &str| text.replace(['\r', '\n'], " ");
    let name = media.file_name.as_deref().map(line).unwrap_or_default();
    let mut whole = format!("{}\n{name}\n", line(&media.media_type)).into_bytes();
    whole.extend_from_slice(&media.bytes);
    whole
}

fn read(whole: &[u8]) -> Option<Media> {
    let mut parts = whole.splitn(3, |byte| *byte == b'\n');
    let mut line = || Some(String::from_utf8_lossy(parts.next()?).into_owned());
    let (media_type, name) = (line()?, line()?);
    Some(Media {
        media_type,
        file_name: Some(name).filter(|name| !name.is_empty()),
        bytes: parts.next()?.into(),
    })
}
