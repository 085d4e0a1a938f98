//! Lore in a table of a PostgreSQL with the extension pgvector.
//!
//! # The schema
//!
//! | column | type | |
//! |---|---|---|
//! | `namespace`, `id` | `text`, compared by bytes | the primary key |
//! | `set`, `source`, `text` | `text` | `namespace, set, id` are indexed |
//! | `metadata` | `jsonb` | a GIN index of `jsonb_path_ops` |
//! | `embedding` | `vector(n)`, above 2000 dimensions `halfvec(n)` | an HNSW index by cosine |
//!
//! pgvector's indexes take 2000 dimensions of 32 bits, or 4000 of 16: there is no table for longer vectors. A text's
//! character U+0000, which PostgreSQL has not, is stored as U+2400.
//!
//! PostgreSQL chooses by itself whether it goes through the HNSW index, which may overlook a neighbour, or compares with
//! every passage of a namespace. With pgvector 0.8 a search through the index goes on until it has enough passages that the
//! filter lets through, or has looked at 100,000; before, it gives up early.
//!
//! Each call is a transaction, and what it sets holds for no longer.

mod link;
mod rows;
mod table;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use ::pgvector::Vector;
use async_trait::async_trait;
use eywa_weave::ports::lore::{Lore, LoreError, Match, PAGE, Page, Passage, Search};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Row};

pub use self::link::UnusableUrl;
use self::{
    link::{CHANGING, LOOKING, Link, PREPARING, Trouble},
    rows::{Rows, found, storable},
    table::{Column, MOST_OF_HALFVEC, statements},
};
use super::InvalidName;

/// The name in errors.
const STORE: &str = "pgvector";

/// The longest name of a table: PostgreSQL cuts names after 63 bytes, and the indexes' names are made of it.
const LONGEST_TABLE: usize = 50;

/// Who makes tables waits for others who do: `CREATE ... IF NOT EXISTS` alone fails when two do it at once.
const MAKING: i64 = 0x6579_7761_6c6f_7265;

/// A table of a PostgreSQL. Its connections are opened by the first call.
pub struct PgvectorLore {
    link: Link,
    table: String,
    column: Mutex<Option<Column>>,
}

impl PgvectorLore {
    /// The table at this URL, `postgres://user:password@host:port/database`. Opens no connection yet.
    ///
    /// # Errors
    /// When the URL cannot be used, or no table can have this name.
    pub fn new(url: &SecretString, table: &str) -> Result<Self, Unusable> {
        let fine = table.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && table
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && table.len() <= LONGEST_TABLE;
        if !fine {
            return Err(Unusable::Table(InvalidName {
                store: STORE,
                name: table.to_owned(),
                rule: "of small letters, digits and underscores, no digit first, at most 50",
            }));
        }
        Ok(Self {
            link: Link::new(url)?,
            table: table.to_owned(),
            column: Mutex::new(None),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Column>> {
        self.column.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The type of the table's vectors, as it is now.
    async fn look(&self) -> Result<Column, LoreError> {
        *self.known() = None;
        let column = self
            .link
            .within(LOOKING, async |connection| {
                sqlx::query_scalar::<_, String>(
                    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                     WHERE attrelid = to_regclass(quote_ident($1)) AND attname = 'embedding' AND NOT attisdropped",
                )
                .bind(&self.table)
                .persistent(false)
                .fetch_optional(connection)
                .await
            })
            .await
            .map_err(|trouble| self.error(trouble))?
            .ok_or_else(|| self.missing())?;
        let read = Column::read(&column).ok_or_else(|| LoreError::Unfit {
            store: STORE,
            collection: self.table.clone(),
            found: format!("has embeddings of the type {column}"),
            needed: "vector(n) or halfvec(n)".to_owned(),
        })?;
        *self.known() = Some(read);
        Ok(read)
    }

    /// The type of the table's vectors, which are to be of this length.
    async fn column(&self, dimensions: usize) -> Result<Column, LoreError> {
        let known = *self.known();
        let column = match known {
            Some(known) if known.dimensions == dimensions => return Ok(known),
            _ => self.look().await?,
        };
        if column.dimensions == dimensions {
            return Ok(column);
        }
        Err(self.unfit(
            format!("has vectors of {} dimensions", column.dimensions),
            dimensions,
        ))
    }

    fn unfit(&self, found: String, dimensions: usize) -> LoreError {
        LoreError::Unfit {
            store: STORE,
            collection: self.table.clone(),
            found,
            needed: format!("{dimensions} dimensions"),
        }
    }

    fn missing(&self) -> LoreError {
        LoreError::Missing {
            store: STORE,
            collection: self.table.clone(),
            how: " by preparing it, which makes the table, and the extension vector where the login may",
        }
    }

    fn error(&self, trouble: Trouble) -> LoreError {
        match trouble {
            Trouble::Missing => self.missing(),
            trouble => trouble.error(),
        }
    }

    /// What failed because the table is another than it was, as that.
    async fn explained(&self, trouble: Trouble, dimensions: usize) -> LoreError {
        if matches!(trouble, Trouble::Length(_)) {
            *self.known() = None;
            if let Err(unfit) = self.column(dimensions).await {
                return unfit;
            }
        }
        self.error(trouble)
    }

    async fn insert(&self, namespace: &str, rows: Rows, column: Column) -> Result<(), Trouble> {
        let (table, of) = (&self.table, column.name());
        let statement = format!(
            "INSERT INTO \"{table}\" (namespace, id, \"set\", source, text, metadata, embedding) \
             SELECT $1, u.id, u.\"set\", u.source, u.text, u.metadata::jsonb, u.embedding::{of} \
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::vector[]) \
             AS u (id, \"set\", source, text, metadata, embedding) \
             ON CONFLICT (namespace, id) DO UPDATE SET \"set\" = excluded.\"set\", source = excluded.source, \
             text = excluded.text, metadata = excluded.metadata, embedding = excluded.embedding"
        );
        self.link
            .within(CHANGING, async |connection| {
                sqlx::query(AssertSqlSafe(statement))
                    .bind(namespace)
                    .bind(rows.ids)
                    .bind(rows.sets)
                    .bind(rows.sources)
                    .bind(rows.texts)
                    .bind(rows.metadata)
                    .bind(rows.embeddings)
                    .persistent(false)
                    .execute(connection)
                    .await
            })
            .await
            .map(drop)
    }

    async fn make(&self, column: Column) -> Result<(), Trouble> {
        let statements = statements(&self.table, column);
        self.link
            .within(PREPARING, async |connection| {
                // Given back at the end of the transaction.
                sqlx::query("SELECT pg_advisory_xact_lock($1)")
                    .bind(MAKING)
                    .persistent(false)
                    .execute(&mut *connection)
                    .await?;
                for statement in statements {
                    sqlx::raw_sql(AssertSqlSafe(statement))
                        .execute(&mut *connection)
                        .await?;
                }
                Ok(())
            })
            .await
    }
}

impl fmt::Debug for PgvectorLore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgvectorLore")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// Why a name or a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The table's name.
    #[error(transparent)]
    Table(#[from] InvalidName),
    /// The URL.
    #[error(transparent)]
    Url(#[from] UnusableUrl),
}

#[async_trait]
impl Lore for PgvectorLore {
    async fn check(&self, dimensions: usize) -> Result<(), LoreError> {
        *self.known() = None;
        self.column(dimensions).await.map(drop)
    }

    async fn prepare(&self, dimensions: usize) -> Result<(), LoreError> {
        if dimensions > MOST_OF_HALFVEC {
            let found = format!("can have vectors of {MOST_OF_HALFVEC} dimensions at most");
            return Err(self.unfit(found, dimensions));
        }
        match self.check(dimensions).await {
            Err(LoreError::Missing { .. }) => {}
            checked => return checked,
        }
        self.make(Column::of(dimensions))
            .await
            .map_err(|trouble| self.error(trouble))?;
        // Somebody else may have made it first.
        self.check(dimensions).await
    }

    async fn search(&self, search: Search<'_>) -> Result<Vec<Match>, LoreError> {
        let dimensions = search.vector.len();
        let column = self.column(dimensions).await?;
        let table = &self.table;
        let filtered = match search.filter.is_empty() {
            true => "$3 = '{}'",
            false => "metadata @> $3::jsonb",
        };
        let statement = format!(
            "SELECT id, \"set\", source, text, metadata::text AS metadata, 1 - (embedding <=> $1::{column}) AS score \
             FROM \"{table}\" WHERE namespace = $2 AND {filtered} \
             ORDER BY embedding <=> $1::{column}, id LIMIT $4"
        );
        let filter: std::collections::BTreeMap<String, String> = (search.filter.iter())
            .map(|(key, value)| (storable(key), storable(value)))
            .collect();
        let looked = self
            .link
            .searching(async |connection| {
                sqlx::query(AssertSqlSafe(statement))
                    .bind(Vector::from(search.vector.to_vec()))
                    .bind(search.namespace)
                    .bind(serde_json::json!(filter).to_string())
                    .bind(i64::try_from(search.top_k).unwrap_or(i64::MAX))
                    // Planned for this namespace and filter, not for any.
                    .persistent(false)
                    .fetch_all(connection)
                    .await
            })
            .await;
        let rows = match looked {
            Ok(rows) => rows,
            Err(trouble) => return Err(self.explained(trouble, dimensions).await),
        };
        let mut matches = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        matches.retain(|found| found.score >= search.min_score);
        Ok(matches)
    }

    async fn put(
        &self,
        namespace: &str,
        passages: &[(Passage, Vec<f32>)],
    ) -> Result<(), LoreError> {
        let Some((_, first)) = passages.first() else {
            return Ok(());
        };
        let dimensions = first.len();
        for (_, vector) in passages {
            if vector.len() != dimensions {
                self.column(vector.len()).await?;
            }
        }
        let column = self.column(dimensions).await?;
        for rows in Rows::of(passages) {
            if let Err(trouble) = self.insert(namespace, rows, column).await {
                return Err(self.explained(trouble, dimensions).await);
            }
        }
        Ok(())
    }

    async fn ids(
        &self,
        namespace: &str,
        set: &str,
        after: Option<&str>,
    ) -> Result<Page, LoreError> {
        let statement = format!(
            "SELECT id FROM \"{}\" WHERE namespace = $1 AND \"set\" = $2 AND id > $3 ORDER BY id LIMIT $4",
            self.table
        );
        // No id is empty.
        let after = after.unwrap_or_default();
        let one_more = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        let rows = self
            .link
            .within(LOOKING, async |connection| {
                sqlx::query(AssertSqlSafe(statement))
                    .bind(namespace)
                    .bind(set)
                    .bind(after)
                    .bind(one_more)
                    .persistent(false)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(|row| row.try_get::<String, _>("id"))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await;
        let mut ids = rows.map_err(|trouble| self.error(trouble))?;
        let more = ids.len() > PAGE;
        ids.truncate(PAGE);
        let next = ids.last().filter(|_| more).cloned();
        Ok(Page { ids, next })
    }

    async fn remove(&self, namespace: &str, ids: &[&str]) -> Result<(), LoreError> {
        let statement = format!(
            "DELETE FROM \"{}\" WHERE namespace = $1 AND id = ANY($2)",
            self.table
        );
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.link
            .within(CHANGING, async |connection| {
                sqlx::query(AssertSqlSafe(statement))
                    .bind(namespace)
                    .bind(ids)
                    .persistent(false)
                    .execute(connection)
                    .await
            })
            .await
            .map(drop)
            .map_err(|trouble| self.error(trouble))
    }
}
