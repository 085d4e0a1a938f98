//! What the MongoDB adapters share: the connection, the indexes, and the schema.
//!
//! # The schema
//!
//! Every document names its Spirit first, as `namespace/spirit`; a session is written `voice/sender`.
//!
//! | collection | `_id` | fields | indexes |
//! |---|---|---|---|
//! | `eywa_conversations` | `spirit session` | `spirit`, `session`, `fence`: the newest Bond that wrote, `length`: the number of the next Echo, `place`: when it last changed, in µs since 1970, `told`: the same `place`, and the `length` up to which its Echoes are told of there, `name`, `last`: its last message as JSON, `ends` | `spirit, place`; `ends` (TTL) |
//! | `eywa_echoes` | `spirit session id` | `of`: `spirit session`, `number`, `echo`: JSON, `ends` | `of, number`; `ends` (TTL) |
//! | `eywa_chronicle` | by the driver | `of`: `spirit session`, `pulse`: `spirit pulse`, `entry`: JSON, `ends` | `of, _id`; `pulse, _id`; `ends` (TTL) |
//! | `eywa_deeds` | `spirit target id` | `of`: `spirit target`, `at`: ms since 1970, `deed`: JSON, `ends` | `of, at`; `ends` (TTL) |
//! | `eywa_places` | `spirit` | `last`: the last place that a conversation was given | |
//!
//! Documents are removed by MongoDB some time after `ends`. Every read goes by an index and is limited, so that none grows
//! with a conversation. Fields are only ever added, so that pods of two releases may share a database.

use std::{fmt, sync::Arc, time::Duration};

use ::mongodb::{
    Client, Collection, Database, IndexModel,
    bson::{DateTime, Document, doc},
    error::{Error, ErrorKind, WriteFailure},
    options::{ClientOptions, IndexOptions},
};
use eywa_weave::StoreError;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

/// What stands in errors for this store.
pub(crate) const STORE: &str = "mongodb";

/// The longest that one method may take, reaching a server included.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest that a server is looked for, and that opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The most connections to one server.
const MOST_CONNECTIONS: u32 = 32;

/// The code of a write that would make a second document with the same key.
const DUPLICATE: i32 = 11000;

/// One Spirit's place in one database. Clones share the connections, which are opened by the first call.
///
/// No call takes longer than 5 s.
#[derive(Clone)]
pub struct Mongo {
    link: Arc<Link>,
    spirit: Arc<str>,
}

struct Link {
    url: SecretString,
    database: String,
    opened: OnceCell<Database>,
}

impl Mongo {
    /// The place of this Spirit in the database of this name, `mongodb://` or `mongodb+srv://`. Opens no connection yet.
    /// The process has a default crypto provider (`rustls::crypto::CryptoProvider::install_default`) before the first call.
    #[must_use]
    pub fn new(url: SecretString, database: &str, namespace: &str, spirit: &str) -> Self {
        let link = Link {
            url,
            database: database.to_owned(),
            opened: OnceCell::new(),
        };
        Self {
            link: Arc::new(link),
            spirit: format!("{namespace}/{spirit}").into(),
        }
    }

    /// Another Spirit's place in the same database.
    #[must_use]
    pub fn scoped(&self, namespace: &str, spirit: &str) -> Self {
        Self {
            link: self.link.clone(),
            spirit: format!("{namespace}/{spirit}").into(),
        }
    }

    /// Makes the indexes that are not there yet, and checks that the database answers.
    ///
    /// # Errors
    /// As unavailable when it does not, or when the URL cannot be used.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        self.within(async |_| Ok(())).await
    }

    /// What every document of the Spirit begins with.
    pub(crate) fn spirit(&self) -> &str {
        &self.spirit
    }

    /// The name of something of the Spirit's.
    pub(crate) fn of(&self, what: impl fmt::Display) -> String {
        format!("{} {what}", self.spirit)
    }

    /// Does something with the database, within the time that a call may take.
    pub(crate) async fn within<T>(
        &self,
        work: impl AsyncFnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + ANSWER_WITHIN;
        let late =
            |_| StoreError::unavailable(STORE, format!("no answer within {ANSWER_WITHIN:?}"));
        let database = timeout_at(until, self.link.opened.get_or_try_init(|| self.link.open()))
            .await
            .map_err(late)?
            .map_err(unavailable)?;
        timeout_at(until, work(database))
            .await
            .map_err(late)?
            .map_err(unavailable)
    }
}

impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mongo")
            .field("database", &self.link.database)
            .field("spirit", &self.spirit)
            .finish_non_exhaustive()
    }
}

impl Link {
    async fn open(&self) -> Result<Database, Error> {
        let mut options = ClientOptions::parse(self.url.expose_secret()).await?;
        options.app_name.get_or_insert_with(|| "eywa".to_owned());
        options.connect_timeout = Some(CONNECT_WITHIN);
        options.server_selection_timeout = Some(CONNECT_WITHIN);
        options.max_pool_size.get_or_insert(MOST_CONNECTIONS);
        let database = Client::with_options(options)?.database(&self.database);
        for (collection, indexes) in indexes() {
            let collection: Collection<Document> = database.collection(collection);
            collection.create_indexes(indexes).await?;
        }
        Ok(database)
    }
}

/// Conversations.
pub(crate) const CONVERSATIONS: &str = "eywa_conversations";
/// Echoes.
pub(crate) const ECHOES: &str = "eywa_echoes";
/// What the Weave did.
pub(crate) const CHRONICLE: &str = "eywa_chronicle";
/// What people did.
pub(crate) const DEEDS: &str = "eywa_deeds";
/// The last place that was given, of each Spirit.
pub(crate) const PLACES: &str = "eywa_places";

fn indexes() -> [(&'static str, Vec<IndexModel>); 4] {
    let by = |keys: Document| IndexModel::builder().keys(keys).build();
    let ends = || {
        let options = IndexOptions::builder().expire_after(Duration::ZERO).build();
        IndexModel::builder()
            .keys(doc! { "ends": 1 })
            .options(options)
            .build()
    };
    [
        (
            CONVERSATIONS,
            vec![by(doc! { "spirit": 1, "place": -1 }), ends()],
        ),
        (ECHOES, vec![by(doc! { "of": 1, "number": 1 }), ends()]),
        (
            CHRONICLE,
            vec![
                by(doc! { "of": 1, "_id": 1 }),
                by(doc! { "pulse": 1, "_id": 1 }),
                ends(),
            ],
        ),
        (DEEDS, vec![by(doc! { "of": 1, "at": 1 }), ends()]),
    ]
}

/// When a document that is written now ends.
pub(crate) fn ends(kept: Duration) -> DateTime {
    let now = Timestamp::now().as_millisecond();
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(now.saturating_add(kept))
}

/// A number of the domain as MongoDB counts.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A field that the schema says is there.
pub(crate) fn text<'a>(document: &'a Document, field: &str) -> Result<&'a str, StoreError> {
    document
        .get_str(field)
        .map_err(|error| StoreError::unreadable(STORE, field, error))
}

/// Whether all that failed is that a document of this key was there already.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE,
        ErrorKind::InsertMany(failed) => {
            failed.write_concern_error.is_none()
                && (failed.write_errors.iter().flatten()).all(|error| error.code == DUPLICATE)
        }
        ErrorKind::Command(error) => error.code == DUPLICATE,
        _ => false,
    }
}

fn unavailable(error: Error) -> StoreError {
    // An error's whole text may repeat a document; its kind does not.
    let reason = match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => message.clone(),
        ErrorKind::Authentication { message, .. } => {
            format!("it does not accept the login: {message}")
        }
        ErrorKind::InvalidArgument { message, .. } => format!("the URL cannot be used: {message}"),
        ErrorKind::Command(error) => format!("{} ({})", error.code_name, error.code),
        ErrorKind::Write(_) | ErrorKind::InsertMany(_) => "it refused a write".to_owned(),
        _ => error.to_string(),
    };
    StoreError::unavailable(STORE, reason)
}
