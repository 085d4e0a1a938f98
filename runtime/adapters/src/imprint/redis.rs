//! An Imprint in Redis.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::imprint::{
        Claim, DUE_REMEMBERED, Fact, HEARD_REMEMBERED, Imprint, Keeping, Lesson,
        PROGRESS_REMEMBERED, Progress,
    },
};
use jiff::Timestamp;

use crate::redis::{LazyScript, Redis, STORE, millis, script};

static AMEND: LazyScript = script!("imprint_amend.lua");
static ADVANCE: LazyScript = script!("imprint_advance.lua");
static CLAIM: LazyScript = script!("imprint_claim.lua");
static PUT_OFF: LazyScript = script!("imprint_put_off.lua");

/// More facts than anybody has: what a script may count with.
const MOST: i64 = 1_000_000;

/// An Imprint in Redis, for every pod that uses the same Redis and [`Scope`](crate::redis::Scope).
#[derive(Clone, Debug)]
pub struct RedisImprint {
    redis: Redis,
    due: String,
    claims: String,
    attempts: String,
    progress: String,
}

/// What changes in what is known of somebody.
struct Amendment<'a> {
    /// The claim that it ends; empty when people change it.
    token: &'a str,
    heard: u64,
    more: bool,
    forget: &'a [&'a str],
    learn: &'a [Fact],
    /// Absent to forget all.
    keeping: Option<Keeping>,
}

impl RedisImprint {
    /// What is known of this Spirit's people.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let scope = redis.scope();
        Self {
            due: scope.only("imprint-due"),
            claims: scope.only("imprint-claims"),
            attempts: scope.only("imprint-attempts"),
            progress: scope.only("imprint-progress"),
            redis,
        }
    }

    fn key(&self, of: &SessionKey) -> String {
        self.redis.scope().of("imprint", of)
    }

    fn heard(&self, of: &SessionKey) -> String {
        self.redis.scope().of("imprint-heard", of)
    }

    async fn change(
        &self,
        of: &SessionKey,
        amendment: Amendment<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let key = self.key(of);
        let keys = [
            &*key,
            &self.heard(of),
            &self.due,
            &self.claims,
            &self.attempts,
        ];
        let mut call = AMEND.with(&keys);
        let most = amendment.keeping.map_or(-1, |keeping| {
            i64::try_from(keeping.most).unwrap_or(MOST).min(MOST)
        });
        call.arg(of.to_string())
            .arg(amendment.token)
            .arg(amendment.heard)
            .arg(millis(HEARD_REMEMBERED))
            .arg(most)
            .arg(millis(
                amendment
                    .keeping
                    .map_or(Duration::ZERO, |keeping| keeping.max_age),
            ))
            .arg(u8::from(amendment.more))
            .arg(millis(DUE_REMEMBERED))
            .arg(amendment.forget.len())
            .arg(amendment.forget);
        for fact in amendment.learn {
            call.arg(fact.at.as_millisecond()).arg(&fact.text);
        }
        self.redis.eval(&AMEND, &call, &key).await
    }
}

/// A time as it is kept.
fn time(ms: i64, key: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|error| StoreError::unreadable(STORE, key, error))
}

#[async_trait]
impl Imprint for RedisImprint {
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError> {
        let key = self.key(of);
        let mut read = redis::cmd("ZREVRANGE");
        read.arg(&key).arg(0).arg(-1).arg("WITHSCORES");
        let facts: Vec<(String, i64)> = self.redis.run(&read, &key).await?;
        facts
            .into_iter()
            .map(|(text, ms)| {
                Ok(Fact {
                    text,
                    at: time(ms, &key)?,
                })
            })
            .collect()
    }

    async fn amend(
        &self,
        of: &SessionKey,
        forget: &[&str],
        learn: &[Fact],
        heard: u64,
        keeping: Keeping,
    ) -> Result<u64, StoreError> {
        let amendment = Amendment {
            token: "",
            heard,
            more: false,
            forget,
            learn,
            keeping: Some(keeping),
        };
        Ok(self.change(of, amendment).await?.unwrap_or_default())
    }

    async fn erase(&self, of: &SessionKey, heard: u64) -> Result<u64, StoreError> {
        let amendment = Amendment {
            token: "",
            heard,
            more: false,
            forget: &[],
            learn: &[],
            keeping: None,
        };
        Ok(self.change(of, amendment).await?.unwrap_or_default())
    }

    async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let key = &self.progress;
        let mut look = redis::pipe();
        look.cmd("HGETALL").arg(key);
        look.cmd("ZCARD").arg(&self.due);
        look.cmd("PEXPIRE")
            .arg(key)
            .arg(millis(PROGRESS_REMEMBERED))
            .ignore();
        let (fields, waiting): (HashMap<String, i64>, u64) = self.redis.run_all(&look, key).await?;
        let (Some(since), Some(reached)) = (fields.get("since"), fields.get("reached")) else {
            return Ok(None);
        };
        Ok(Some(Progress {
            since: time(*since, key)?,
            reached: u64::try_from(*reached).unwrap_or_default(),
            waiting,
        }))
    }

    async fn advance(
        &self,
        from: Option<u64>,
        to: u64,
        due: &[SessionKey],
    ) -> Result<bool, StoreError> {
        let key = &self.progress;
        let mut call = ADVANCE.with(&[key, &self.due, &self.claims]);
        call.arg(from.map(|from| from.to_string()).unwrap_or_default())
            .arg(to)
            .arg(millis(PROGRESS_REMEMBERED))
            .arg(millis(DUE_REMEMBERED));
        for session in due {
            call.arg(session.to_string());
        }
        self.redis.eval(&ADVANCE, &call, key).await
    }

    async fn claim(
        &self,
        token: &str,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut call = CLAIM.with(&[&self.due, &self.claims, &self.attempts]);
        call.arg(token)
            .arg(most)
            .arg(millis(lease))
            .arg(millis(DUE_REMEMBERED));
        let claimed: Vec<(String, u32)> = self.redis.eval(&CLAIM, &call, &self.due).await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let sessions: Vec<SessionKey> = claimed
            .iter()
            .map(|(session, _)| session.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::unreadable(STORE, &self.due, error))?;
        let mut read = redis::cmd("MGET");
        for session in &sessions {
            read.arg(self.heard(session));
        }
        let heard: Vec<Option<u64>> = self.redis.run(&read, &self.due).await?;
        Ok(sessions
            .into_iter()
            .zip(claimed)
            .zip(heard)
            .map(|((session, (_, attempt)), heard)| Claim {
                session,
                token: token.to_owned(),
                attempt,
                heard: heard.unwrap_or_default(),
            })
            .collect())
    }

    async fn put_off(
        &self,
        claim: &Claim,
        until: Duration,
        anew: bool,
    ) -> Result<bool, StoreError> {
        let mut call = PUT_OFF.with(&[&self.due, &self.claims, &self.attempts]);
        call.arg(claim.session.to_string())
            .arg(&claim.token)
            .arg(millis(until))
            .arg(u8::from(anew));
        self.redis.eval(&PUT_OFF, &call, &self.due).await
    }

    async fn conclude(
        &self,
        claim: &Claim,
        lesson: Lesson<'_>,
        keeping: Keeping,
    ) -> Result<bool, StoreError> {
        let amendment = Amendment {
            token: &claim.token,
            heard: lesson.heard,
            more: lesson.more,
            forget: lesson.forget,
            learn: lesson.learn,
            keeping: Some(keeping),
        };
        Ok(self.change(&claim.session, amendment).await?.is_some())
    }
}
