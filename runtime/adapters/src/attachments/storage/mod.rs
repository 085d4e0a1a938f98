//! Attachments in Google Cloud Storage.
//!
//! ```text
//! [prefix/]NAMESPACE/SPIRIT/<hash of the session>/<hash of the file's id>
//!   contentType        the file's
//!   customTime         when it ends (RFC 3339)
//!   metadata.file-name its name, if it has one
//! ```
//!
//! A session's files end together, so the session ends with the latest `customTime` among them. Ends run by this machine's
//! clock. What has ended is not given out, and is deleted when it is come across; a lifecycle rule of the bucket on
//! `daysSinceCustomTime` deletes the rest.
//!
//! Source: Cloud Storage, JSON API v1, "Objects: insert", "get", "list", "delete", and "Object Lifecycle Management".

mod object;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use eywa_guard::GuardedClient;
use eywa_weave::{
    SessionKey, StoreError,
    ports::attachments::{Attachments, MOST_BYTES},
    pulse::Media,
};
use futures::future::join_all;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::json;
use url::Url;

use self::object::{Object, Page, UNKNOWN, one_line, related, written_type};
use crate::google::{
    GoogleTokens,
    rest::{Call, GoogleRest, RestError, hashed},
};

const STORE: &str = "storage";

/// The longest that looking a file up may take: the channel is waiting to be asked instead.
const LOADED_WITHIN: Duration = Duration::from_secs(5);
/// The longest that keeping one may take. A turn waits for it.
const KEPT_WITHIN: Duration = Duration::from_secs(8);
/// The most bytes of what is said about objects.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// The most objects of one page, which is Cloud Storage's own limit.
const PAGE: &str = "1000";
/// The most pages of a session's files that are looked at.
const MOST_PAGES: usize = 4;
/// The most files of one session. A page is enough for them, as long as what is too much is deleted.
const MOST_FILES: usize = 1000;
/// How many objects are deleted side by side.
const DELETED_AT_ONCE: usize = 8;
/// What is asked of an object.
const FIELDS: &str = "name,generation,size,contentType,timeCreated,customTime,metadata";
/// What is asked of each of a list.
const LISTED: &str = "items(name,generation,size,timeCreated,customTime),nextPageToken";

/// Whose files are kept where.
#[derive(Clone, Debug)]
pub struct StorageSite {
    /// Where Cloud Storage answers: `https://storage.googleapis.com`.
    pub base_url: Url,
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with, or nothing.
    pub prefix: String,
    /// The Spirit's namespace.
    pub namespace: String,
    /// The Spirit.
    pub spirit: String,
}

/// Attachments in a bucket of Cloud Storage. Names of objects tell neither people nor files.
#[derive(Clone, Debug)]
pub struct StorageAttachments {
    rest: GoogleRest,
    site: StorageSite,
}

impl StorageAttachments {
    /// The Attachments of the site's Spirit.
    #[must_use]
    pub fn new(client: GuardedClient, tokens: GoogleTokens, site: StorageSite) -> Self {
        Self {
            rest: GoogleRest::new(client, tokens),
            site,
        }
    }

    /// What the names of a session's files begin with.
    fn folder(&self, session: &SessionKey) -> String {
        let StorageSite {
            prefix,
            namespace,
            spirit,
            ..
        } = &self.site;
        let hash = hashed(&[namespace, spirit, &session.to_string()]);
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{prefix}{slash}{namespace}/{spirit}/{hash}/")
    }

    fn name(&self, session: &SessionKey, id: &str) -> String {
        format!("{}{}", self.folder(session), hashed(&[id]))
    }

    /// The bucket's objects, or one of them: its name is one segment, slashes and all.
    fn url(&self, before: &[&str], object: Option<&str>) -> Url {
        let mut url = self.site.base_url.clone();
        // A URL that cannot have a path is refused by the client, with the reason.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(before)
                .extend(["storage", "v1", "b", &self.site.bucket, "o"])
                .extend(object);
        }
        url
    }

    async fn upload(
        &self,
        name: &str,
        media: &Media,
        ends: Timestamp,
        within: Duration,
    ) -> Result<(), StoreError> {
        let mut url = self.url(&["upload"], None);
        url.query_pairs_mut()
            .append_pair("uploadType", "multipart")
            .append_pair("fields", "generation");
        let content_type = written_type(&media.media_type);
        let mut about = json!({
            "name": name,
            "contentType": content_type,
            "customTime": ends.to_string(),
        });
        if let Some(name) = &media.file_name {
            about["metadata"] = json!({"file-name": one_line(name)});
        }
        let boundary = format!("eywa-{:032x}", rand::rng().random::<u128>());
        let body = related(&boundary, &about.to_string(), content_type, &media.bytes);
        let related = HeaderValue::try_from(format!("multipart/related; boundary={boundary}"))
            .map_err(|error| StoreError::unavailable(STORE, error))?;
        let call = Call::new(Method::POST, url, LONGEST_ANSWER).body(related, body);
        self.sent(&call, within).await.map(drop)
    }

    /// What is known of a file.
    async fn about(&self, name: &str) -> Result<Option<Object>, StoreError> {
        let mut url = self.url(&[], Some(name));
        url.query_pairs_mut().append_pair("fields", FIELDS);
        let call = Call::new(Method::GET, url, LONGEST_ANSWER);
        match self.rest.send(&call, LOADED_WITHIN).await {
            Ok(body) => read(&body, name).map(Some),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// The bytes of what was looked at, unless it was written anew since.
    async fn bytes(&self, object: &Object) -> Result<Option<Bytes>, StoreError> {
        let mut url = self.url(&[], Some(&object.name));
        url.query_pairs_mut()
            .append_pair("alt", "media")
            .append_pair("ifGenerationMatch", &object.generation);
        let call = Call::new(Method::GET, url, MOST_BYTES);
        match self.rest.send(&call, LOADED_WITHIN).await {
            Ok(body) => Ok(Some(body)),
            Err(error) if matches!(error.status(), Some(404 | 412)) => Ok(None),
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// A session's files, oldest first.
    async fn list(&self, session: &SessionKey) -> Result<Vec<Object>, StoreError> {
        let (folder, mut found, mut next) = (self.folder(session), Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let mut url = self.url(&[], None);
            url.query_pairs_mut()
                .append_pair("prefix", &folder)
                .append_pair("maxResults", PAGE)
                .append_pair("fields", LISTED)
                .extend_pairs(next.as_deref().map(|next| ("pageToken", next)));
            let call = Call::new(Method::GET, url, LONGEST_ANSWER);
            let page: Page = read(&self.sent(&call, LOADED_WITHIN).await?, &folder)?;
            found.extend(page.items);
            next = page.next_page_token;
            if next.is_none() {
                break;
            }
        }
        found.sort_by(|a, b| (a.time_created, &a.name).cmp(&(b.time_created, &b.name)));
        Ok(found)
    }

    /// Deletes objects as they were seen: one that was written anew since stays. Those that cannot be deleted are left to
    /// the next look, and to the bucket's lifecycle rule.
    async fn delete(&self, objects: &[Object]) {
        for some in objects.chunks(DELETED_AT_ONCE) {
            join_all(some.iter().map(|object| self.delete_one(object))).await;
        }
    }

    async fn delete_one(&self, object: &Object) {
        let mut url = self.url(&[], Some(&object.name));
        url.query_pairs_mut()
            .append_pair("ifGenerationMatch", &object.generation);
        let call = Call::new(Method::DELETE, url, LONGEST_ANSWER);
        match self.rest.send(&call, LOADED_WITHIN).await {
            Ok(_) => {}
            Err(error) if matches!(error.status(), Some(404 | 412)) => {}
            Err(error) => {
                let error = self.explained(&error);
                tracing::warn!(%error, "a file that is kept no more could not be deleted");
            }
        }
    }

    /// Deletes what was kept before and has no place beside the newest, which is not to go.
    async fn make_room(&self, session: &SessionKey, newest: &str) -> Result<(), StoreError> {
        let files = self.list(session).await?;
        let now = Timestamp::now();
        let (mut kept, before): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.name == newest);
        // The session's others live on with this one, unless the session had ended.
        let lives = before.iter().any(|file| file.ends() > now);
        let mut left = MOST_BYTES.saturating_sub(kept.iter().map(Object::size).sum());
        let mut dropped = Vec::new();
        for file in before.into_iter().rev() {
            let fits = lives && dropped.is_empty() && kept.len() < MOST_FILES;
            match left.checked_sub(file.size()) {
                Some(room) if fits => {
                    left = room;
                    kept.push(file);
                }
                _ => dropped.push(file),
            }
        }
        self.delete(&dropped).await;
        Ok(())
    }

    /// Whether the session, of whose files this one would have ended, lives on with a younger one. Deletes its files if
    /// it does not.
    async fn lives(&self, session: &SessionKey) -> Result<bool, StoreError> {
        let files = self.list(session).await?;
        let now = Timestamp::now();
        let lives = files.iter().any(|file| file.ends() > now);
        if !lives {
            self.delete(&files).await;
        }
        Ok(lives)
    }

    async fn sent(&self, call: &Call, within: Duration) -> Result<Bytes, StoreError> {
        self.rest
            .send(call, within)
            .await
            .map_err(|error| self.explained(&error))
    }

    fn explained(&self, error: &RestError) -> StoreError {
        let bucket = &self.site.bucket;
        let advice = match error.status() {
            Some(401) => ": the token is not accepted; are the credentials of a service account that still exists?".to_owned(),
            Some(403) => format!(": give the service account roles/storage.objectUser on the bucket {bucket}"),
            Some(404) => format!(": is there a bucket {bucket}?"),
            _ => String::new(),
        };
        StoreError::unavailable(STORE, format!("{error}{advice}"))
    }
}

#[async_trait]
impl Attachments for StorageAttachments {
    async fn keep(
        &self,
        session: &SessionKey,
        id: &str,
        media: &Media,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        if media.bytes.len() > MOST_BYTES {
            return Ok(());
        }
        let name = self.name(session, id);
        let ends = Timestamp::now()
            .saturating_add(ttl)
            .unwrap_or(Timestamp::MAX);
        let keeping = async {
            self.upload(&name, media, ends, KEPT_WITHIN).await?;
            self.make_room(session, &name).await
        };
        tokio::time::timeout(KEPT_WITHIN, keeping)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::unavailable(
                    STORE,
                    "keeping a file took too long",
                ))
            })
    }

    async fn load(&self, session: &SessionKey, id: &str) -> Result<Option<Media>, StoreError> {
        let loading = async {
            let Some(object) = self.about(&self.name(session, id)).await? else {
                return Ok(None);
            };
            if object.ends() <= Timestamp::now() && !self.lives(session).await? {
                return Ok(None);
            }
            let media = self.bytes(&object).await?.map(|bytes| Media {
                media_type: object.content_type.unwrap_or_else(|| UNKNOWN.to_owned()),
                file_name: object.metadata.file_name,
                bytes: (*bytes).into(),
            });
            Ok(media)
        };
        tokio::time::timeout(LOADED_WITHIN, loading)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::unavailable(
                    STORE,
                    "loading a file took too long",
                ))
            })
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8], key: &str) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| {
        // serde's text may quote what it stumbled on; where it was is enough.
        let at = format!("line {}, column {}", error.line(), error.column());
        StoreError::unreadable(STORE, key, at)
    })
}
