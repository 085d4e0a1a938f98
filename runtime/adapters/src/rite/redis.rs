//! Rites in Redis.

use std::collections::HashMap;

use async_trait::async_trait;
use eywa_weave::{
    StoreError,
    names::{RiteId, SessionKey},
    ports::rite::{
        Asked, Consumption, Decision, KEPT, Rite, RiteOutcome, Rites, Standing, Verdict,
    },
};
use jiff::Timestamp;
use redis::Cmd;

use crate::redis::{LazyScript, Redis, STORE, Script, decode, encode, millis, script};

static PARK: LazyScript = script!("rite_park.lua");
static DECIDE: LazyScript = script!("rite_decide.lua");
static CONSUME: LazyScript = script!("rite_consume.lua");
static END: LazyScript = script!("rite_end.lua");

/// Rites in Redis, for every pod that uses the same Redis and [`Scope`](crate::redis::Scope).
#[derive(Clone, Debug)]
pub struct RedisRites {
    redis: Redis,
    all: String,
    due: String,
}

/// A Rite as Redis keeps it.
type Fields = HashMap<String, String>;

impl RedisRites {
    /// The Rites of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let scope = redis.scope();
        Self {
            all: scope.only("rites"),
            due: scope.only("rites-due"),
            redis,
        }
    }

    fn record(&self, id: &RiteId) -> String {
        self.redis.scope().of("rite", id)
    }

    /// Runs a script that gives a flag and the Rite.
    async fn change(
        &self,
        script: &Script,
        call: &Cmd,
        key: &str,
    ) -> Result<Option<(bool, Rite)>, StoreError> {
        let said: Vec<String> = self.redis.eval(script, call, key).await?;
        let mut words = said.into_iter();
        let Some(flag) = words.next() else {
            return Ok(None);
        };
        let mut fields = Fields::new();
        while let (Some(field), Some(value)) = (words.next(), words.next()) {
            fields.insert(field, value);
        }
        Ok(rite(&fields, key)?.map(|rite| (flag == "1", rite)))
    }

    async fn consume_or_void(
        &self,
        id: &RiteId,
        generation: &str,
        now: Timestamp,
    ) -> Result<Option<(bool, Rite)>, StoreError> {
        let key = self.record(id);
        let mut call = CONSUME.with(&[&key, &self.due]);
        call.arg(id.as_str())
            .arg(generation)
            .arg(now.as_millisecond());
        self.change(&CONSUME, &call, &key).await
    }

    async fn end(
        &self,
        id: &RiteId,
        outcome: Option<RiteOutcome>,
        settled_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let key = self.record(id);
        let mut call = END.with(&[&key, &self.due]);
        call.arg(id.as_str())
            .arg(outcome.map_or("", |outcome| match outcome {
                RiteOutcome::Succeeded => "Succeeded",
                RiteOutcome::Failed => "Failed",
            }))
            .arg(settled_at.map_or_else(String::new, |at| at.as_millisecond().to_string()));
        self.redis.eval(&END, &call, &key).await
    }

    /// The Rites of these ids, in their order, without those that are forgotten.
    async fn read(&self, ids: Vec<String>, now: Timestamp) -> Result<Vec<Rite>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = ids
            .into_iter()
            .map(|id| self.record(&RiteId::from(id)))
            .collect();
        let mut look = redis::pipe();
        for key in &keys {
            look.cmd("HGETALL").arg(key);
        }
        let found: Vec<Fields> = self.redis.run_all(&look, &self.all).await?;
        keys.iter()
            .zip(found)
            .filter_map(|(key, fields)| rite(&fields, key).transpose())
            .map(|rite| rite.map(|rite| at(rite, now)))
            .collect()
    }
}

#[async_trait]
impl Rites for RedisRites {
    async fn park(&self, asked: &Asked) -> Result<(), StoreError> {
        let key = self.record(&asked.id);
        let of_session = self.redis.scope().of("rites", &asked.session);
        let mut call = PARK.with(&[&key, &self.all, &of_session, &self.due]);
        call.arg(asked.id.as_str())
            .arg(encode(asked, &key)?)
            .arg(asked.generation)
            .arg(asked.expires_at.as_millisecond())
            .arg(millis(KEPT));
        self.redis.eval(&PARK, &call, &key).await
    }

    async fn get(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        let key = self.record(id);
        let mut look = redis::cmd("HGETALL");
        look.arg(&key);
        let fields: Fields = self.redis.run(&look, &key).await?;
        Ok(rite(&fields, &key)?.map(|rite| at(rite, now)))
    }

    async fn list(
        &self,
        session: Option<&SessionKey>,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Rite>, StoreError> {
        let key = match session {
            Some(session) => self.redis.scope().of("rites", session),
            None => self.all.clone(),
        };
        let Some(last) = most.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let mut look = redis::cmd("ZREVRANGE");
        look.arg(&key).arg(0).arg(last);
        let ids: Vec<String> = self.redis.run(&look, &key).await?;
        self.read(ids, now).await
    }

    async fn decide(&self, id: &RiteId, verdict: &Verdict) -> Result<Option<Decision>, StoreError> {
        let key = self.record(id);
        let standing = if verdict.approved {
            Standing::Approved
        } else {
            Standing::Denied
        };
        let mut call = DECIDE.with(&[&key, &self.due]);
        call.arg(id.as_str())
            .arg(standing.as_str())
            .arg(&verdict.by)
            .arg(&verdict.comment)
            .arg(verdict.at.as_millisecond());
        let said = self.change(&DECIDE, &call, &key).await?;
        Ok(said.map(|(counted, rite)| {
            if counted {
                Decision::Counted(Box::new(rite))
            } else {
                Decision::TooLate(Box::new(rite))
            }
        }))
    }

    async fn void(&self, id: &RiteId, now: Timestamp) -> Result<Option<Rite>, StoreError> {
        let said = self.consume_or_void(id, "", now).await?;
        Ok(said.map(|(_, rite)| rite))
    }

    async fn consume(
        &self,
        id: &RiteId,
        generation: i64,
        now: Timestamp,
    ) -> Result<Option<Consumption>, StoreError> {
        let said = self
            .consume_or_void(id, &generation.to_string(), now)
            .await?;
        Ok(said.map(|(granted, rite)| Consumption { granted, rite }))
    }

    async fn conclude(&self, id: &RiteId, outcome: RiteOutcome) -> Result<(), StoreError> {
        self.end(id, Some(outcome), None).await
    }

    async fn settle(&self, id: &RiteId, now: Timestamp) -> Result<(), StoreError> {
        self.end(id, None, Some(now)).await
    }

    async fn due(&self, most: usize, now: Timestamp) -> Result<Vec<Rite>, StoreError> {
        let mut look = redis::cmd("ZRANGEBYSCORE");
        look.arg(&self.due)
            .arg("-inf")
            .arg(now.as_millisecond())
            .arg("LIMIT")
            .arg(0)
            .arg(most);
        let ids: Vec<String> = self.redis.run(&look, &self.due).await?;
        self.read(ids, now).await
    }
}

/// The Rite as it stands at `now`.
fn at(mut rite: Rite, now: Timestamp) -> Rite {
    if rite.standing == Standing::Pending && now >= rite.asked.expires_at {
        rite.standing = Standing::Expired;
    }
    rite
}

/// Reads a Rite. No fields are none.
fn rite(fields: &Fields, key: &str) -> Result<Option<Rite>, StoreError> {
    let (Some(asked), Some(standing)) = (fields.get("asked"), fields.get("standing")) else {
        return Ok(None);
    };
    let unreadable = |reason: String| StoreError::unreadable(STORE, key, reason);
    let time = |field: &str| -> Result<Option<Timestamp>, StoreError> {
        let Some(text) = fields.get(field) else {
            return Ok(None);
        };
        let millis = text
            .parse()
            .map_err(|error: std::num::ParseIntError| unreadable(error.to_string()))?;
        Timestamp::from_millisecond(millis)
            .map(Some)
            .map_err(|error| unreadable(error.to_string()))
    };
    let text = |field: &str| fields.get(field).cloned().unwrap_or_default();
    let verdict = time("decided_at")?.map(|at| Verdict {
        approved: fields
            .get("approved")
            .is_some_and(|approved| approved == "1"),
        by: text("by"),
        comment: text("comment"),
        at,
    });
    Ok(Some(Rite {
        asked: decode(asked, key)?,
        standing: Standing::ALL
            .into_iter()
            .find(|known| known.as_str() == standing)
            .ok_or_else(|| unreadable(format!("{standing:?} is no standing")))?,
        verdict,
        outcome: match fields.get("outcome").map(String::as_str) {
            None => None,
            Some("Succeeded") => Some(RiteOutcome::Succeeded),
            Some("Failed") => Some(RiteOutcome::Failed),
            Some(other) => return Err(unreadable(format!("{other:?} is no outcome"))),
        },
        settled_at: time("settled_at")?,
    }))
}
