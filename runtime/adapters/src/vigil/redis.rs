//! A Vigil in Redis.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        bond::Fence,
        inbox::REMEMBERED,
        vigil::{Permit, Phase, ReleaseReason, Target, Vigil, Watch},
    },
};
use jiff::Timestamp;
use redis::Cmd;

use crate::redis::{FENCE_REMEMBERED, LazyScript, Redis, STORE, Script, millis, script};

static REQUEST: LazyScript = script!("vigil_request.lua");
static TAKE_OVER: LazyScript = script!("vigil_take_over.lua");
static SETTLE: LazyScript = script!("vigil_settle.lua");
static RELEASE: LazyScript = script!("vigil_release.lua");
static ANSWERED: LazyScript = script!("vigil_answered.lua");
static NOTE: LazyScript = script!("vigil_note.lua");
static BEGIN_SPEAKING: LazyScript = script!("vigil_begin_speaking.lua");
static END_SPEAKING: LazyScript = script!("vigil_end_speaking.lua");

/// How long a Vigil is kept after its last change, while no human has the conversation.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How many Pulses are told apart when the unanswered ones are counted.
const NOTED: usize = 10_000;
/// How many targets that a human has or is asked to take can be listed: the latest.
const OPEN: usize = 10_000;

/// A Vigil in Redis, for every pod that uses the same Redis and [`Scope`](crate::redis::Scope).
#[derive(Clone, Debug)]
pub struct RedisVigil {
    redis: Redis,
    /// Those who speak, in whichever session.
    speaking: String,
    /// The targets that a human has or is asked to take.
    open: String,
}

/// A Watch as Redis keeps it.
type Fields = HashMap<String, String>;

impl RedisVigil {
    /// The Vigils of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let speaking = redis.scope().only("vigil-speaking");
        let open = redis.scope().only("vigil-open");
        Self {
            redis,
            speaking,
            open,
        }
    }

    fn record(&self, target: &Target) -> String {
        self.redis.scope().of("vigil", target)
    }

    fn noted(&self, target: &Target) -> String {
        self.redis.scope().of("vigil-noted", target)
    }

    fn speaking_in(&self, session: &SessionKey) -> String {
        self.redis.scope().of("vigil-speaking", session)
    }

    /// Runs a script that gives the Watch.
    async fn change(&self, script: &Script, call: &Cmd, key: &str) -> Result<Watch, StoreError> {
        let fields: Fields = self.redis.eval(script, call, key).await?;
        watch(fields, key)
    }
}

#[async_trait]
impl Vigil for RedisVigil {
    async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError> {
        let (everyone, own) = (
            self.record(&Target::Everyone),
            self.record(&Target::Session(session.clone())),
        );
        let mut look = redis::pipe();
        look.cmd("HGETALL").arg(&everyone).cmd("HGETALL").arg(&own);
        let (of_everyone, of_session): (Fields, Fields) = self.redis.run_all(&look, &own).await?;
        let for_everyone = watch(of_everyone, &everyone)?;
        if for_everyone.phase.is_human() {
            Ok(for_everyone)
        } else {
            watch(of_session, &own)
        }
    }

    async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        let key = self.record(target);
        let mut look = redis::cmd("HGETALL");
        look.arg(&key);
        watch(self.redis.run(&look, &key).await?, &key)
    }

    async fn open(&self, most: usize) -> Result<Vec<(Target, Watch)>, StoreError> {
        let mut find = redis::cmd("ZREVRANGE");
        find.arg(&self.open)
            .arg(0)
            .arg(i64::try_from(most).unwrap_or(i64::MAX) - 1);
        let targets: Vec<String> = self.redis.run(&find, &self.open).await?;
        if targets.is_empty() || most == 0 {
            return Ok(Vec::new());
        }
        let mut look = redis::pipe();
        for target in &targets {
            look.cmd("HGETALL")
                .arg(self.redis.scope().of("vigil", target));
        }
        let records: Vec<Fields> = self.redis.run_all(&look, &self.open).await?;
        let mut open = Vec::with_capacity(targets.len());
        for (target, fields) in targets.iter().zip(records) {
            let watch = watch(fields, &self.open)?;
            // One that was forgotten for its age is still in the list.
            if watch.phase.is_open() {
                let target = target
                    .parse()
                    .map_err(|error| StoreError::unreadable(STORE, &self.open, error))?;
                open.push((target, watch));
            }
        }
        Ok(open)
    }

    async fn request(
        &self,
        target: &Target,
        reason: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let key = self.record(target);
        let mut call = REQUEST.with(&[&key, &self.open]);
        call.arg(reason).arg(at.as_millisecond()).arg(millis(KEPT));
        call.arg(target.to_string()).arg(OPEN);
        self.change(&REQUEST, &call, &key).await
    }

    async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let key = self.record(target);
        let mut call = TAKE_OVER.with(&[&key, &self.noted(target), &self.open]);
        call.arg(by).arg(at.as_millisecond()).arg(millis(KEPT));
        call.arg(target.to_string()).arg(OPEN);
        self.change(&TAKE_OVER, &call, &key).await
    }

    async fn settle(&self, target: &Target, _at: Timestamp) -> Result<Watch, StoreError> {
        let key = self.record(target);
        let speaking = match target {
            Target::Session(session) => self.speaking_in(session),
            Target::Everyone => self.speaking.clone(),
        };
        self.change(&SETTLE, &SETTLE.with(&[&key, &speaking]), &key)
            .await
    }

    async fn release(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let key = self.record(target);
        let mut call = RELEASE.with(&[&key, &self.noted(target), &self.open]);
        call.arg(by).arg(at.as_millisecond()).arg(millis(KEPT));
        call.arg(target.to_string()).arg(reason.as_str());
        self.change(&RELEASE, &call, &key).await
    }

    async fn answered(&self, session: &SessionKey) -> Result<(), StoreError> {
        let key = self.record(&Target::Session(session.clone()));
        self.redis
            .eval(&ANSWERED, &ANSWERED.with(&[&key]), &key)
            .await
    }

    async fn note(
        &self,
        session: &SessionKey,
        pulse: &PulseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let own = Target::Session(session.clone());
        let key = self.record(&own);
        let everyone = Target::Everyone;
        let keys = [
            &*key,
            &self.noted(&own),
            &self.record(&everyone),
            &self.noted(&everyone),
        ];
        let mut call = NOTE.with(&keys);
        call.arg(pulse.as_str())
            .arg(at.as_millisecond())
            .arg(NOTED)
            .arg(millis(REMEMBERED));
        self.redis.eval(&NOTE, &call, &key).await
    }

    async fn begin_speaking(
        &self,
        session: &SessionKey,
        fence: Fence,
        time: Duration,
    ) -> Result<Permit, StoreError> {
        let key = self.record(&Target::Session(session.clone()));
        let everyone = self.record(&Target::Everyone);
        let newest = self.redis.scope().of("vigil-fence", session);
        let mut call = BEGIN_SPEAKING.with(&[
            &everyone,
            &key,
            &newest,
            &self.speaking_in(session),
            &self.speaking,
        ]);
        call.arg(fence.0)
            .arg(millis(FENCE_REMEMBERED))
            .arg(millis(time))
            .arg(speaker(session, fence));
        let answer: Vec<String> = self.redis.eval(&BEGIN_SPEAKING, &call, &key).await?;
        let mut words = answer.into_iter();
        match words.next().as_deref() {
            None => Ok(Permit::Granted),
            Some("human") => {
                let mut fields = Fields::new();
                while let (Some(field), Some(value)) = (words.next(), words.next()) {
                    fields.insert(field, value);
                }
                Ok(Permit::Human(watch(fields, &key)?))
            }
            Some(_) => {
                let newest = words
                    .next()
                    .and_then(|newest| newest.parse().ok())
                    .map_or(fence, Fence);
                Err(StoreError::Fenced {
                    offered: fence,
                    newest,
                })
            }
        }
    }

    async fn end_speaking(&self, session: &SessionKey, fence: Fence) -> Result<(), StoreError> {
        let key = self.speaking_in(session);
        let mut call = END_SPEAKING.with(&[&key, &self.speaking]);
        call.arg(fence.0).arg(speaker(session, fence));
        self.redis.eval(&END_SPEAKING, &call, &key).await
    }
}

/// The name of one who speaks, among those of all sessions.
fn speaker(session: &SessionKey, fence: Fence) -> String {
    format!("{fence} {session}")
}

/// Reads a Watch. No fields are a Vigil that nobody has touched.
fn watch(mut fields: Fields, key: &str) -> Result<Watch, StoreError> {
    let phase = match fields.get("phase").map(String::as_str) {
        None | Some("Watching") => Phase::Watching,
        Some("Requested") => Phase::Requested,
        Some("TakingOver") => Phase::TakingOver,
        Some("Active") => Phase::Active,
        Some("Released") => Phase::Released,
        Some(other) => {
            return Err(StoreError::unreadable(
                STORE,
                key,
                format!("{other:?} is no phase"),
            ));
        }
    };
    let unreadable = |error: &dyn std::fmt::Display| StoreError::unreadable(STORE, key, error);
    let time = |field: &str| -> Result<Option<Timestamp>, StoreError> {
        let Some(text) = fields.get(field) else {
            return Ok(None);
        };
        let millis = text
            .parse()
            .map_err(|error: std::num::ParseIntError| unreadable(&error))?;
        Timestamp::from_millisecond(millis)
            .map(Some)
            .map_err(|error| unreadable(&error))
    };
    let (since, requested_at) = (time("since")?, time("requested_at")?);
    let (last_pulse_at, released_at) = (time("last_pulse_at")?, time("released_at")?);
    let unanswered = match fields.get("unanswered") {
        Some(count) => count
            .parse()
            .map_err(|error: std::num::ParseIntError| unreadable(&error))?,
        None => 0,
    };
    let release_reason = match fields.get("release_reason").map(String::as_str) {
        None => None,
        Some("Human") => Some(ReleaseReason::Human),
        Some("Idle") => Some(ReleaseReason::Idle),
        Some("User") => Some(ReleaseReason::User),
        Some(other) => return Err(unreadable(&format!("{other:?} is no reason"))),
    };
    let mut text = |field: &str| fields.remove(field).unwrap_or_default();
    Ok(Watch {
        phase,
        by: text("by"),
        since,
        requested_at,
        request_reason: text("request_reason"),
        last_pulse_at,
        unanswered,
        released_at,
        released_by: text("released_by"),
        release_reason,
    })
}
