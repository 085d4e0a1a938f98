//! Attachments for one process.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use eywa_weave::{
    SessionKey, StoreError,
    ports::attachments::{Attachments, MOST_BYTES},
    pulse::Media,
};
use tokio::time::Instant;

use crate::in_memory::Shared;

/// Attachments for one process. TTLs run by tokio's clock.
#[derive(Debug, Default)]
pub struct InMemoryAttachments(Shared<HashMap<SessionKey, Kept>>);

#[derive(Debug)]
struct Kept {
    until: Instant,
    /// Oldest first.
    files: Vec<(String, Media)>,
}

impl InMemoryAttachments {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Attachments for InMemoryAttachments {
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
        let mut sessions = self.0.lock();
        let now = Instant::now();
        sessions.retain(|_, kept| kept.until > now);
        let kept = sessions.entry(session.clone()).or_insert_with(|| Kept {
            until: now,
            files: Vec::new(),
        });
        kept.until = now + ttl;
        kept.files.retain(|(known, _)| known != id);
        kept.files.push((id.to_owned(), media.clone()));
        let mut bytes: usize = kept.files.iter().map(|(_, media)| media.bytes.len()).sum();
        while bytes > MOST_BYTES {
            let (_, oldest) = kept.files.remove(0);
            bytes -= oldest.bytes.len();
        }
        Ok(())
    }

    async fn load(&self, session: &SessionKey, id: &str) -> Result<Option<Media>, StoreError> {
        let sessions = self.0.lock();
        let kept = sessions
            .get(session)
            .filter(|kept| kept.until > Instant::now());
        Ok(kept
            .and_then(|kept| kept.files.iter().find(|(known, _)| known == id))
            .map(|(_, media)| media.clone()))
    }
}
