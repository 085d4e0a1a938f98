//! A Bond in one Redis.
//!
//! With one Redis the Bond is as safe as that Redis: after a failover to a replica that had not heard of it, two may hold
//! it until the first extends. The fences keep the first from writing after the second has. A Bond by majority of several
//! servers closes that window: feature `bond-redlock`.

use std::time::Duration;

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        bond::{Bond, BondGuard, Fence, LONGEST_LINE, Turn},
        inbox::REMEMBERED,
    },
};

use crate::redis::{LazyScript, Redis, millis, script};

static ACQUIRE: LazyScript = script!("bond_acquire.lua");
static ACQUIRE_OR_WAIT: LazyScript = script!("bond_acquire_or_wait.lua");
pub(super) static EXTEND: LazyScript = script!("bond_extend.lua");
pub(super) static LINE: LazyScript = script!("bond_line.lua");
static RELEASE_OR_NEXT: LazyScript = script!("bond_release_or_next.lua");
pub(super) static RELEASE: LazyScript = script!("bond_release.lua");

/// A Bond in one Redis, for every pod that uses the same Redis and [`Scope`](crate::redis::Scope).
#[derive(Clone, Debug)]
pub struct RedisBond {
    redis: Redis,
    fence: String,
}

impl RedisBond {
    /// The Bonds of this Spirit.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let fence = redis.scope().only("bond-fence");
        Self { redis, fence }
    }

    fn held(&self, session: &SessionKey) -> String {
        self.redis.scope().of("bond", session)
    }

    fn waiting(&self, session: &SessionKey) -> String {
        self.redis.scope().of("bond-line", session)
    }
}

/// Which of these sessions' Bonds are held on this server.
pub(super) async fn busy_on(
    redis: &Redis,
    sessions: &[SessionKey],
) -> Result<Vec<bool>, StoreError> {
    let scope = redis.scope();
    let keys: Vec<String> = sessions
        .iter()
        .map(|session| scope.of("bond", session))
        .collect();
    let Some(first) = keys.first() else {
        return Ok(Vec::new());
    };
    let mut look = redis::cmd("MGET");
    look.arg(&keys);
    let tokens: Vec<Option<String>> = redis.run(&look, first).await?;
    Ok(tokens.iter().map(Option::is_some).collect())
}

pub(super) fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// As many as there may be in a line, of the number that was asked for: Redis counts in signed numbers.
pub(super) fn at_most(tickets: usize) -> usize {
    tickets.min(LONGEST_LINE + 1)
}

pub(super) fn tickets(ids: Vec<String>) -> Vec<PulseId> {
    ids.into_iter().map(PulseId::from).collect()
}

#[async_trait]
impl Bond for RedisBond {
    async fn acquire(
        &self,
        session: &SessionKey,
        ttl: Duration,
    ) -> Result<Option<BondGuard>, StoreError> {
        let (key, token) = (self.held(session), token());
        let mut call = ACQUIRE.with(&[&key, &self.fence]);
        call.arg(&token).arg(millis(ttl));
        let fence = self.redis.eval(&ACQUIRE, &call, &key).await?;
        Ok((fence != 0).then(|| BondGuard {
            session: session.clone(),
            token,
            fence: Fence(fence),
        }))
    }

    async fn acquire_or_wait(
        &self,
        session: &SessionKey,
        ttl: Duration,
        ticket: &PulseId,
        take: usize,
    ) -> Result<Turn, StoreError> {
        let (key, token) = (self.held(session), token());
        let mut call = ACQUIRE_OR_WAIT.with(&[&key, &self.fence, &self.waiting(session)]);
        call.arg(&token)
            .arg(millis(ttl))
            .arg(ticket.as_str())
            .arg(at_most(take.max(1)));
        call.arg(LONGEST_LINE).arg(millis(REMEMBERED));
        let (fence, ids): (i64, Vec<String>) =
            self.redis.eval(&ACQUIRE_OR_WAIT, &call, &key).await?;
        Ok(match u64::try_from(fence) {
            Err(_) => Turn::Full,
            Ok(0) => Turn::Waiting,
            Ok(fence) => {
                let guard = BondGuard {
                    session: session.clone(),
                    token,
                    fence: Fence(fence),
                };
                Turn::Yours {
                    guard,
                    tickets: tickets(ids),
                }
            }
        })
    }

    async fn extend(&self, guard: &BondGuard, ttl: Duration) -> Result<bool, StoreError> {
        let key = self.held(&guard.session);
        let mut call = EXTEND.with(&[&key]);
        call.arg(&guard.token).arg(millis(ttl));
        self.redis.eval(&EXTEND, &call, &key).await
    }

    async fn line(&self, guard: &BondGuard, most: usize) -> Result<Vec<PulseId>, StoreError> {
        let key = self.held(&guard.session);
        let mut call = LINE.with(&[&key, &self.waiting(&guard.session)]);
        call.arg(&guard.token).arg(at_most(most));
        self.redis.eval(&LINE, &call, &key).await.map(tickets)
    }

    async fn release_or_next(
        &self,
        guard: &BondGuard,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<PulseId>, StoreError> {
        let key = self.held(&guard.session);
        let mut call = RELEASE_OR_NEXT.with(&[&key, &self.waiting(&guard.session)]);
        call.arg(&guard.token)
            .arg(millis(ttl))
            .arg(at_most(most.max(1)));
        self.redis
            .eval(&RELEASE_OR_NEXT, &call, &key)
            .await
            .map(tickets)
    }

    async fn release(&self, guard: &BondGuard) -> Result<bool, StoreError> {
        let key = self.held(&guard.session);
        let mut call = RELEASE.with(&[&key]);
        call.arg(&guard.token);
        self.redis.eval(&RELEASE, &call, &key).await
    }

    async fn busy(&self, sessions: &[SessionKey]) -> Result<Vec<bool>, StoreError> {
        busy_on(&self.redis, sessions).await
    }
}
