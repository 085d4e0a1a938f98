//! Contacts in Redis.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    PulseId, StoreError, UserId, VoiceName,
    ports::contacts::{Contacts, IDS_REMEMBERED, MESSAGES_REMEMBERED, Pace, Progress},
};

use crate::redis::{LazyScript, Redis, millis, script};

static IDENTIFY: LazyScript = script!("contacts_identify.lua");
static SENT: LazyScript = script!("contacts_sent.lua");
static ADVANCE: LazyScript = script!("contacts_advance.lua");
static PACE: LazyScript = script!("contacts_pace.lua");

/// Contacts in Redis.
#[derive(Clone, Debug)]
pub struct RedisContacts {
    redis: Redis,
}

impl RedisContacts {
    /// The Contacts of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    fn key(&self, kind: &str, voice: &VoiceName, of: &str) -> String {
        self.redis.scope().of(kind, format_args!("{voice}/{of}"))
    }
}

#[async_trait]
impl Contacts for RedisContacts {
    async fn identify(
        &self,
        voice: &VoiceName,
        id: &UserId,
        also: &[UserId],
    ) -> Result<UserId, StoreError> {
        let keys: Vec<String> = std::iter::once(id)
            .chain(also)
            .map(|id| self.key("person", voice, id.as_str()))
            .chain([self.key("person-with-others", voice, id.as_str())])
            .collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut call = IDENTIFY.with(&names);
        call.arg(1 + also.len())
            .arg(id.as_str())
            .arg(also.first().unwrap_or(id).as_str())
            .arg(millis(IDS_REMEMBERED));
        let known: String = self.redis.eval(&IDENTIFY, &call, names[0]).await?;
        Ok(UserId::from(known))
    }

    async fn sent(
        &self,
        voice: &VoiceName,
        message: &str,
        pulse: &PulseId,
    ) -> Result<(), StoreError> {
        let key = self.key("message", voice, message);
        let mut call = SENT.with(&[&key]);
        call.arg(pulse.as_str()).arg(millis(MESSAGES_REMEMBERED));
        self.redis.eval(&SENT, &call, &key).await
    }

    async fn pulse_of(
        &self,
        voice: &VoiceName,
        message: &str,
    ) -> Result<Option<PulseId>, StoreError> {
        let key = self.key("message", voice, message);
        let mut read = redis::cmd("HGET");
        read.arg(&key).arg("pulse");
        let pulse: Option<String> = self.redis.run(&read, &key).await?;
        Ok(pulse.map(PulseId::from))
    }

    async fn advance(
        &self,
        voice: &VoiceName,
        message: &str,
        progress: Progress,
    ) -> Result<bool, StoreError> {
        let key = self.key("message", voice, message);
        let mut call = ADVANCE.with(&[&key]);
        call.arg(progress.rank()).arg(millis(MESSAGES_REMEMBERED));
        self.redis.eval(&ADVANCE, &call, &key).await
    }

    async fn pace(
        &self,
        voice: &VoiceName,
        user: &UserId,
        messages: u32,
        pace: Pace,
    ) -> Result<Duration, StoreError> {
        let key = self.key("pace", voice, user.as_str());
        let mut call = PACE.with(&[&key]);
        call.arg(millis(pace.interval * messages.max(1)))
            .arg(millis(pace.interval * pace.burst.max(1)))
            .arg(u64::try_from(pace.longest_wait.as_millis()).unwrap_or(u64::MAX));
        let wait: u64 = self.redis.eval(&PACE, &call, &key).await?;
        Ok(Duration::from_millis(wait))
    }
}
