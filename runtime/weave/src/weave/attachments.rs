//! The files that came with messages: fetched when an Oracle, or a person at the desk, is to see them.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::{Inner, Weave, answer::Session, trace::Trace};
use crate::{
    names::SessionKey,
    observe::Stage,
    ports::voice::FetchError,
    pulse::{Attachment, Media},
    spirit::Spirit,
};

/// The most files of a conversation that an Oracle is shown: the newest.
const MOST_FILES: usize = 4;
/// The most bytes of files that an Oracle is shown at a time.
const MOST_BYTES: usize = 12 * 1024 * 1024;
/// The longest that fetching them may take; a turn goes on without those that take longer.
const LONGEST_FETCH: Duration = Duration::from_secs(15);
/// How long a file is kept after it was fetched. Channels have it for longer, and are asked again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

impl Weave {
    /// The content of a file that came with a message of this session: what is kept of it, or else what its voice fetches
    /// now, within 15 seconds.
    ///
    /// # Errors
    /// [`FetchError`], whose text is for people.
    pub async fn attachment(
        &self,
        session: &SessionKey,
        attachment: &Attachment,
    ) -> Result<Media, FetchError> {
        self.0.fetch(session, attachment).await
    }
}

impl Inner {
    /// Loads the newest files of the conversation that any Oracle of the Spirit takes. A file that cannot be had is told
    /// of in the words that it came with: the turn goes on without it.
    pub(super) async fn load(
        &self,
        spirit: &Spirit,
        key: &SessionKey,
        session: &mut Session,
        trace: &mut Trace,
    ) {
        let takes = |file: &Attachment| {
            spirit
                .oracles
                .iter()
                .any(|asking| asking.oracle.takes(&file.media_type))
        };
        let wanted: Vec<Attachment> = session
            .turns
            .attachments()
            .rev()
            .filter(|file| takes(file))
            .take(MOST_FILES)
            .cloned()
            .collect();
        if wanted.is_empty() {
            return;
        }
        let began = Instant::now();
        let fetched = join_all(wanted.iter().map(|file| self.fetch(key, file))).await;
        let (mut left, mut outcome) = (MOST_BYTES, "loaded");
        for (file, fetched) in wanted.iter().zip(fetched) {
            let fitting = fetched.and_then(|media| {
                left = left
                    .checked_sub(media.bytes.len())
                    .ok_or(FetchError::TooLarge { limit: MOST_BYTES })?;
                Ok(media)
            });
            if let Err(error) = &fitting {
                tracing::warn!(media_type = file.media_type, %error, "going on without a file");
                outcome = "incomplete";
            }
            session
                .turns
                .loaded(&file.id, fitting.map_err(|error| error.to_string()));
        }
        trace.stage(Stage::Attachments, "", outcome, began);
    }

    async fn fetch(
        &self,
        session: &SessionKey,
        attachment: &Attachment,
    ) -> Result<Media, FetchError> {
        let fetching = async {
            if let Some(media) = self.kept(session, &attachment.id).await {
                return Ok(media);
            }
            let voice = self
                .voices
                .get(&session.voice)
                .ok_or(FetchError::Unsupported)?;
            let media = voice.fetch(attachment).await?;
            if let Some(store) = &self.attachments
                && let Err(error) = store.keep(session, &attachment.id, &media, KEPT).await
            {
                tracing::warn!(%error, "a file could not be kept; it is fetched again when it is needed");
            }
            Ok(media)
        };
        timeout(LONGEST_FETCH, fetching)
            .await
            .unwrap_or_else(|_| Err(FetchError::Failed("it took too long".to_owned())))
    }

    async fn kept(&self, session: &SessionKey, id: &str) -> Option<Media> {
        let kept = self.attachments.as_ref()?.load(session, id).await;
        kept.unwrap_or_else(|error| {
            tracing::warn!(%error, "the kept files cannot be read; asking the channel");
            None
        })
    }
}
