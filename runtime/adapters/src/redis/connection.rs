//! One connection to one Redis, which comes back by itself.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use eywa_weave::StoreError;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    STORE, Scope, Script,
    servers::{Connection, Servers, WrongUrl},
};

/// The longest that an answer may take. Redis answers within a millisecond; two seconds are a Redis in trouble.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The longest that opening a connection may take, TLS and password included.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// The same, with what sentinels or a cluster have to be asked first.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
/// How long to leave Redis alone after the first failure to connect; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest that Redis is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How many calls may wait to be written. More of them wait to be among those.
const WAITING_TO_BE_WRITTEN: usize = 1024;

/// One Spirit's place in one Redis. Clones share one connection, on which calls at the same time are pipelined.
///
/// The connection is opened by the first call and again after it is lost. While Redis cannot be reached, calls fail at
/// once instead of piling up, and one of them tries again now and then: after 50 ms at first and 2 s at most. No call
/// takes longer than some 3 s.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    scope: Scope,
}

/// The URL of a Redis cannot be used. Does not repeat the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Redis URL cannot be used: {0}. Write it as redis://user:password@host:6379/0, redis-cluster://user:password@a:6379,b:6379 or redis-sentinel://user:password@a:26379,b:26379/master, with rediss for TLS"
)]
pub struct InvalidUrl(String);

struct Link {
    servers: Servers,
    config: AsyncConnectionConfig,
    live: RwLock<Option<Live>>,
    /// Locked by the one who opens a connection.
    attempts: Mutex<Attempts>,
}

#[derive(Clone)]
struct Live {
    /// Tells this connection from those before it.
    generation: u64,
    connection: Connection,
}

#[derive(Default)]
struct Attempts {
    generation: u64,
    failed: u32,
    /// When to try again, and what went wrong.
    pause: Option<(Instant, String)>,
}

impl Redis {
    /// The Redis of this URL. Opens no connection yet.
    ///
    /// One server: `redis://user:password@host:6379/0`. A cluster, by some of its nodes:
    /// `redis-cluster://user:password@a:6379,b:6379`. The master that sentinels know by a name:
    /// `redis-sentinel://user:password@a:26379,b:26379/name/0`. With `rediss` instead of `redis` each of them uses TLS, for
    /// which the process has a default crypto provider (`rustls::crypto::CryptoProvider::install_default`) before the first
    /// call.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn new(url: &SecretString, scope: Scope) -> Result<Self, InvalidUrl> {
        Self::trusting(url, None, scope)
    }

    /// As [`Redis::new`]; its certificates must be by this authority, in PEM, instead of one that the system trusts.
    ///
    /// # Errors
    /// When the URL or the certificate cannot be used.
    pub fn trusting(
        url: &SecretString,
        ca: Option<&[u8]>,
        scope: Scope,
    ) -> Result<Self, InvalidUrl> {
        let servers = Servers::of(url.expose_secret(), ca).map_err(|wrong| match wrong {
            WrongUrl::Refused(error) => InvalidUrl(error.to_string()),
            WrongUrl::Because(reason) => InvalidUrl(reason.to_owned()),
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_pipeline_buffer_size(WAITING_TO_BE_WRITTEN);
        let link = Link {
            servers,
            config,
            live: RwLock::default(),
            attempts: Mutex::default(),
        };
        Ok(Self {
            link: Arc::new(link),
            scope,
        })
    }

    /// Another Spirit's place in the same Redis, on the same connection.
    #[must_use]
    pub fn scoped(&self, scope: Scope) -> Self {
        Self {
            link: self.link.clone(),
            scope,
        }
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// As unavailable when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run(&redis::cmd("PING"), "").await
    }

    /// Whose keys these are.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Runs a command. `key` is for the error when the answer cannot be read.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        command: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        let mut live = self.link.live().await?;
        let answer = command.query_async(&mut live.connection).await;
        answer.map_err(|error| self.link.failed(live.generation, error, key))
    }

    /// Runs several commands in one round trip.
    pub(crate) async fn run_all<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        key: &str,
    ) -> Result<T, StoreError> {
        let mut live = self.link.live().await?;
        let answer = commands.query_async(&mut live.connection).await;
        answer.map_err(|error| self.link.failed(live.generation, error, key))
    }

    /// Runs a call of a script. A Redis that does not know the script is told of it.
    pub(crate) async fn eval<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Cmd,
        key: &str,
    ) -> Result<T, StoreError> {
        let mut live = self.link.live().await?;
        let connection = &mut live.connection;
        let mut answer = call.query_async(connection).await;
        let unknown =
            |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        if answer.as_ref().is_err_and(unknown) {
            answer = match script.load().exec_async(connection).await {
                Ok(()) => call.query_async(connection).await,
                Err(error) => Err(error),
            };
        }
        answer.map_err(|error| self.link.failed(live.generation, error, key))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Link {
    fn known(&self) -> Option<Live> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The connection, opened if need be.
    async fn live(&self) -> Result<Live, StoreError> {
        if let Some(live) = self.known() {
            return Ok(live);
        }
        let mut attempts = self.attempts.lock().await;
        // Somebody may have opened it, or failed to, while this call waited for the lock.
        if let Some(live) = self.known() {
            return Ok(live);
        }
        if let Some((until, reason)) = &attempts.pause
            && Instant::now() < *until
        {
            return Err(StoreError::unavailable(STORE, reason));
        }
        let opening = self.servers.connect(&self.config);
        let opened = timeout(OPEN_WITHIN, opening)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        match opened {
            Ok(connection) => {
                let live = Live {
                    generation: attempts.generation + 1,
                    connection,
                };
                *attempts = Attempts {
                    generation: live.generation,
                    ..Attempts::default()
                };
                *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(error) => {
                let reason = format!("no connection: {error}");
                tracing::warn!(
                    failed = attempts.failed + 1,
                    reason,
                    "Redis cannot be reached"
                );
                attempts.pause = Some((Instant::now() + pause(attempts.failed), reason.clone()));
                attempts.failed = attempts.failed.saturating_add(1);
                Err(StoreError::unavailable(STORE, reason))
            }
        }
    }

    /// What an error means to the caller; drops the connection if it is no good any more.
    fn failed(&self, generation: u64, error: RedisError, key: &str) -> StoreError {
        // A late answer means a dead peer as often as a slow one, and a former primary stays read-only.
        let read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if error.is_unrecoverable_error() || error.is_timeout() || read_only {
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            if live
                .as_ref()
                .is_some_and(|live| live.generation == generation)
            {
                *live = None;
            }
        }
        let foreign = error.code() == Some("WRONGTYPE");
        if foreign
            || matches!(
                error.kind(),
                ErrorKind::Parse | ErrorKind::UnexpectedReturnType
            )
        {
            return StoreError::unreadable(STORE, key, error);
        }
        StoreError::unavailable(STORE, error)
    }
}

/// How long to leave Redis alone after so many failures before this one: doubled each time up to a ceiling, and from half
/// of that on by chance, so that pods do not come all at once.
fn pause(failed: u32) -> Duration {
    let ceiling = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failed))
        .min(LONGEST_PAUSE);
    ceiling.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(url: &str) -> Result<Redis, InvalidUrl> {
        Redis::new(&SecretString::from(url), Scope::new("cafe", "barista"))
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_being_repeated() {
        for url in [
            "http://:fake-password@host",
            "fake-password",
            "redis://:fake-password@host:port",
        ] {
            let refused = redis(url).expect_err(url).to_string();
            assert!(
                refused.contains("redis://user:password@host:6379/0"),
                "{refused}"
            );
            assert!(!refused.contains("fake-password"), "{refused}");
        }
    }

    #[test]
    fn the_password_is_not_in_what_is_printed() {
        let printed = format!("{:?}", redis("redis://:fake-password@127.0.0.1:1").unwrap());
        assert!(
            printed.contains("barista") && !printed.contains("fake-password"),
            "{printed}"
        );
    }

    #[test]
    fn pauses_grow_up_to_a_ceiling() {
        for failed in [0, 1, 5, 31, 32, u32::MAX] {
            let pause = pause(failed);
            assert!(
                pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE,
                "{failed}: {pause:?}"
            );
        }
        assert!(pause(20) >= LONGEST_PAUSE / 2);
    }
}
