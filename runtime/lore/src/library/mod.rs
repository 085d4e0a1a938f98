//! Where documents are: files of a folder, texts of a ConfigMap, pages at URLs.

mod folder;
mod web;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use async_trait::async_trait;
use eywa_guard::GuardedClient;
use url::Url;

pub use folder::{MOST_FILES, files};

use crate::documents::{Document, Kind, LARGEST, Reader, Unread};

/// A document's name, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// How people know it: a path or a URL. Unique in its library.
    pub source: String,
    /// What is known of it.
    pub metadata: BTreeMap<String, String>,
}

/// Documents that can be read, and read again.
#[async_trait]
pub trait Library: Send + Sync {
    /// All of them, in a fixed order.
    fn entries(&self) -> &[Entry];

    /// Reads the one that is at this place among the [`entries`](Self::entries). It bounds its own time.
    async fn read(&self, at: usize) -> Result<Document, Unread>;
}

/// Where one document is.
#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Held(Vec<u8>),
    Web(Url),
}

/// Documents of any place, together.
#[derive(Debug)]
pub struct Shelf {
    reader: Reader,
    client: GuardedClient,
    entries: Vec<Entry>,
    places: Vec<Place>,
    named: BTreeSet<String>,
}

impl Shelf {
    /// An empty one. Its documents are read by `reader`, and fetched by `client`.
    #[must_use]
    pub fn new(reader: Reader, client: GuardedClient) -> Self {
        Self {
            reader,
            client,
            entries: Vec::new(),
            places: Vec::new(),
            named: BTreeSet::new(),
        }
    }

    /// Adds a file.
    pub fn file(&mut self, entry: Entry, path: impl Into<PathBuf>) {
        self.add(entry, Place::File(path.into()));
    }

    /// Adds what is held already. Its kind is known by its source.
    pub fn held(&mut self, entry: Entry, bytes: impl Into<Vec<u8>>) {
        self.add(entry, Place::Held(bytes.into()));
    }

    /// Adds what is at a URL.
    pub fn web(&mut self, entry: Entry, url: Url) {
        self.add(entry, Place::Web(url));
    }

    /// A document that was named before stays as it is.
    fn add(&mut self, entry: Entry, place: Place) {
        if self.named.insert(entry.source.clone()) {
            self.entries.push(entry);
            self.places.push(place);
        }
    }
}

#[async_trait]
impl Library for Shelf {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    async fn read(&self, at: usize) -> Result<Document, Unread> {
        let (Some(entry), Some(place)) = (self.entries.get(at), self.places.get(at)) else {
            return Err(Unread::failed("there is no such document"));
        };
        let by_name = || {
            Kind::of_name(&entry.source).ok_or_else(|| {
                Unread::Unknown(match entry.source.rsplit_once('.') {
                    Some((_, extension)) if !extension.contains('/') => format!(".{extension}"),
                    _ => "a file without an extension".to_owned(),
                })
            })
        };
        match place {
            Place::Held(bytes) => self.reader.read(by_name()?, bytes.clone(), None).await,
            Place::File(path) => {
                let kind = by_name()?;
                let bytes = folder::content(path.clone()).await?;
                self.reader.read(kind, bytes, None).await
            }
            Place::Web(url) => {
                let page = web::fetch(&self.client, url, LARGEST).await?;
                let kind = Kind::of_media_type(&page.media_type, url.path())
                    .ok_or_else(|| Unread::Unknown(page.media_type.clone()))?;
                let charset = page.charset();
                self.reader.read(kind, page.bytes, charset.as_deref()).await
            }
        }
    }
}
