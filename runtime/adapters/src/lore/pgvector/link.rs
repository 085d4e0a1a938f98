//! The connections to a PostgreSQL, and what its errors mean.

use std::{
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use eywa_weave::{StoreError, ports::lore::LoreError};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;
use url::Url;

use super::STORE;

/// The longest that a call may take that looks, reaching the server included.
pub(super) const LOOKING: Duration = Duration::from_secs(10);
/// The longest that a statement may take that changes passages.
pub(super) const CHANGING: Duration = Duration::from_secs(60);
/// The longest that making a table may take; an index of passages that are there already takes its time.
pub(super) const PREPARING: Duration = Duration::from_secs(300);
/// How long a call waits for a connection, to be opened or given back.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection stays open that nobody uses.
const IDLE: Duration = Duration::from_secs(120);
/// The most connections of one process to one table's server.
const MOST_CONNECTIONS: u32 = 8;
/// How far a search goes through the index by cosine until it has enough passages that the filter lets through: how many it
/// looks at, and how often `work_mem` it takes. pgvector knows these since 0.8. A session that has not loaded pgvector yet
/// takes them on trust; one that has an older pgvector would refuse them, and is not told.
const SEARCHING: &str = "SELECT set_config(name, value, true) FROM (VALUES \
    ('hnsw.iterative_scan', 'strict_order'), ('hnsw.max_scan_tuples', '100000'), ('hnsw.scan_mem_multiplier', '8')\
    ) AS wanted (name, value) \
    WHERE current_setting('hnsw.iterative_scan', true) IS NOT NULL \
    OR NOT EXISTS (SELECT FROM pg_settings WHERE pg_settings.name = 'hnsw.ef_search')";
/// The most characters that are told of an error.
const LONGEST_REASON: usize = 300;

/// What a URL may say of the connection.
const KNOWN: [&str; 15] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
    "ssl-root-cert",
];
/// What providers write into URLs and means nothing here.
const IDLE_TALK: [&str; 4] = [
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "target_session_attrs",
];

/// A URL of a PostgreSQL that cannot be used. Says nothing of what stands in it but the names of parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUrl {
    /// It is no URL of a PostgreSQL.
    #[error("it is not written postgres://user:password@host:port/database")]
    Malformed,
    /// It has a parameter that nobody knows: a `sslmod` must not go unheard.
    #[error("it has the parameter {0:?}, which is not known")]
    Parameter(String),
    /// A parameter has a value that it cannot have.
    #[error("one of its parameters has a value that it cannot have")]
    Value,
}

/// A PostgreSQL, connected to by the first call.
pub(super) struct Link {
    options: PgConnectOptions,
    // A pool is made in the runtime that uses it.
    pool: Mutex<Option<PgPool>>,
}

impl Link {
    pub(super) fn new(url: &SecretString) -> Result<Self, UnusableUrl> {
        Ok(Self {
            options: options(url.expose_secret().trim())?,
            pool: Mutex::new(None),
        })
    }

    fn pool(&self) -> PgPool {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.get_or_insert_with(|| {
            PgPoolOptions::new()
                .max_connections(MOST_CONNECTIONS)
                .acquire_timeout(CONNECT_WITHIN)
                .idle_timeout(IDLE)
                .connect_lazy_with(self.options.clone())
        })
        .clone()
    }

    /// Does something with the database, within this time, as one transaction: a pooler may give every transaction another
    /// session, and knows nothing of what was set or prepared in the one before.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Trouble> {
        self.transact(limit, "", work).await
    }

    /// As [`within`](Self::within), for what goes through the index by cosine.
    pub(super) async fn searching<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Trouble> {
        self.transact(LOOKING, SEARCHING, work).await
    }

    async fn transact<T>(
        &self,
        limit: Duration,
        settings: &str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Trouble> {
        let within = limit.as_millis();
        // One round trip.
        let begin = format!("BEGIN; SET LOCAL statement_timeout = {within}; {settings}");
        let done = async {
            let mut transaction = self.pool().begin_with(AssertSqlSafe(begin)).await?;
            let done = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        match timeout(limit, done).await {
            Ok(done) => done.map_err(|error: sqlx::Error| Trouble::from(error)),
            Err(_) => Err(Trouble::Away(format!("no answer within {limit:?}"))),
        }
    }
}

fn options(url: &str) -> Result<PgConnectOptions, UnusableUrl> {
    let mut url = Url::parse(url).map_err(|_| UnusableUrl::Malformed)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") || !url.has_host() {
        return Err(UnusableUrl::Malformed);
    }
    let mut kept = Vec::new();
    let mut authority = None;
    for (name, value) in url.query_pairs() {
        if name == "sslrootcert" && value.trim_start().starts_with("-----BEGIN") {
            authority = Some(value.into_owned().into_bytes());
        } else if KNOWN.contains(&&*name) {
            kept.push((name.into_owned(), value.into_owned()));
        } else if !IDLE_TALK.contains(&&*name) {
            return Err(UnusableUrl::Parameter(name.into_owned()));
        }
    }
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| UnusableUrl::Value)?;
    // Poolers refuse settings that they do not know.
    let options = options.application_name("eywa").extra_float_digits(None);
    Ok(match authority {
        Some(authority) => options.ssl_root_cert_from_pem(authority),
        None => options,
    })
}

/// Why something came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such table, or no extension to have one with.
    Missing,
    /// A vector is of another length than its column.
    Length(String),
    /// The login is not accepted, or may not do it.
    Refused(String),
    /// The same would be refused the next time too.
    Rejected(String),
    /// Everything else.
    Away(String),
}

impl Trouble {
    /// As the port's error, where it says nothing of the table.
    pub(super) fn error(self) -> LoreError {
        match self {
            Self::Refused(reason) => LoreError::Refused {
                store: STORE,
                reason,
            },
            Self::Rejected(reason) | Self::Length(reason) => LoreError::Rejected {
                store: STORE,
                reason,
            },
            Self::Away(reason) => StoreError::unavailable(STORE, reason).into(),
            Self::Missing => StoreError::unavailable(STORE, "something is missing").into(),
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let said = |message: &str| -> String {
            let message = message.replace(char::is_control, " ");
            message.chars().take(LONGEST_REASON).collect()
        };
        match &error {
            // The message; details may repeat a row.
            sqlx::Error::Database(refused) => {
                let code = refused.code().unwrap_or_default();
                let reason = format!("{} ({code})", said(refused.message()));
                // PostgreSQL, appendix A: error codes.
                match &*code {
                    "42P01" | "42704" | "3F000" => Self::Missing,
                    "22000" => Self::Length(reason),
                    "28000" | "28P01" | "42501" => Self::Refused(reason),
                    // Data, constraints, the statement itself, and what is too large.
                    _ if ["22", "23", "42", "54"].contains(&code.get(..2).unwrap_or_default()) => {
                        Self::Rejected(reason)
                    }
                    _ => Self::Away(reason),
                }
            }
            // The extension's.
            sqlx::Error::TypeNotFound { .. } => Self::Missing,
            sqlx::Error::PoolTimedOut => {
                Self::Away(format!("no connection within {CONNECT_WITHIN:?}"))
            }
            other => Self::Away(said(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_used_is_told_without_what_stands_in_it() {
        for (url, why) in [
            ("fake-password", UnusableUrl::Malformed),
            ("http://eywa:fake-password@host/db", UnusableUrl::Malformed),
            ("postgres:///fake-password", UnusableUrl::Malformed),
            (
                "postgres://eywa:fake-password@host/db?sslmod=require",
                UnusableUrl::Parameter("sslmod".to_owned()),
            ),
            (
                "postgres://eywa:fake-password@host/db?sslmode=maybe",
                UnusableUrl::Value,
            ),
        ] {
            let refused = Link::new(&url.into()).err().unwrap();
            assert_eq!(refused, why, "{url}");
            assert!(!refused.to_string().contains("fake-password"), "{refused}");
        }
        let neon = "postgresql://eywa:fake@host/db?sslmode=require&channel_binding=require";
        assert!(Link::new(&neon.into()).is_ok());
    }
}
