//! Tells the rota what this process does with Vigils, so that their objects say so at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use eywa_weave::{
    PulseId, SessionKey, StoreError,
    ports::{
        Vigil,
        bond::Fence,
        vigil::{Permit, ReleaseReason, Target, Watch},
    },
};
use jiff::Timestamp;
use tokio::sync::Notify;

/// Who wants to hear of which conversation. Clones are the same list.
#[derive(Clone, Default)]
pub struct Notes {
    about: Arc<Mutex<HashMap<Target, Arc<Notify>>>>,
    opened: Arc<Notify>,
}

impl Notes {
    /// What is told when a person writes in `target`.
    pub(super) fn about(&self, target: &Target) -> Arc<Notify> {
        Arc::clone(
            self.about
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(target.clone())
                .or_default(),
        )
    }

    /// Nobody wants to hear of `target` any more.
    pub(super) fn forget(&self, target: &Target) {
        self.about
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(target);
    }

    /// Told when a human was asked for, or takes over, in whichever conversation.
    pub(super) fn opened(&self) -> Arc<Notify> {
        Arc::clone(&self.opened)
    }

    /// Somebody did something with `target`.
    fn moved(&self, target: &Target) {
        let listening = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        match listening.get(target) {
            Some(notify) => notify.notify_one(),
            None => self.opened.notify_one(),
        }
    }

    fn wrote(&self, session: &SessionKey) {
        let listening = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        for target in [Target::Session(session.clone()), Target::Everyone] {
            if let Some(notify) = listening.get(&target) {
                notify.notify_one();
            }
        }
    }
}

/// A [`Vigil`] that says of each change that there was one. It changes nothing else.
pub struct Noted {
    vigil: Arc<dyn Vigil>,
    notes: Notes,
}

impl Noted {
    /// Listens to `vigil`.
    pub fn new(vigil: Arc<dyn Vigil>, notes: Notes) -> Self {
        Self { vigil, notes }
    }
}

#[async_trait]
impl Vigil for Noted {
    async fn watch(&self, session: &SessionKey) -> Result<Watch, StoreError> {
        self.vigil.watch(session).await
    }

    async fn state(&self, target: &Target) -> Result<Watch, StoreError> {
        self.vigil.state(target).await
    }

    async fn open(&self, most: usize) -> Result<Vec<(Target, Watch)>, StoreError> {
        self.vigil.open(most).await
    }

    async fn request(
        &self,
        target: &Target,
        reason: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let watch = self.vigil.request(target, reason, at).await?;
        self.notes.moved(target);
        Ok(watch)
    }

    async fn take_over(
        &self,
        target: &Target,
        by: &str,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let watch = self.vigil.take_over(target, by, at).await?;
        self.notes.moved(target);
        Ok(watch)
    }

    async fn settle(&self, target: &Target, at: Timestamp) -> Result<Watch, StoreError> {
        self.vigil.settle(target, at).await
    }

    async fn release(
        &self,
        target: &Target,
        by: &str,
        reason: ReleaseReason,
        at: Timestamp,
    ) -> Result<Watch, StoreError> {
        let watch = self.vigil.release(target, by, reason, at).await?;
        self.notes.moved(target);
        Ok(watch)
    }

    async fn answered(&self, session: &SessionKey) -> Result<(), StoreError> {
        self.vigil.answered(session).await?;
        self.notes.wrote(session);
        Ok(())
    }

    async fn note(
        &self,
        session: &SessionKey,
        pulse: &PulseId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.vigil.note(session, pulse, at).await?;
        self.notes.wrote(session);
        Ok(())
    }

    async fn begin_speaking(
        &self,
        session: &SessionKey,
        fence: Fence,
        time: Duration,
    ) -> Result<Permit, StoreError> {
        self.vigil.begin_speaking(session, fence, time).await
    }

    async fn end_speaking(&self, session: &SessionKey, fence: Fence) -> Result<(), StoreError> {
        self.vigil.end_speaking(session, fence).await
    }
}
