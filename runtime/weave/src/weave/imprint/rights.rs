//! A person's right: to see what is known of them, to have it corrected, and to have it forgotten.

use jiff::Timestamp;

use super::{Inner, millis};
use crate::{
    Weave,
    error::StoreError,
    imprint::{Unsound, fresh, sound},
    names::SessionKey,
    ports::{
        chronicle::DeedKind,
        imprint::{Fact, Keeping},
        vigil::Target,
    },
};

/// A fact was not corrected.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CorrectError {
    /// It is not known, or not any more.
    #[error("there is no such fact")]
    NoSuchFact,
    /// What is to stand in its place is no fact.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// A store failed. Doing the same again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Weave {
    /// What is known of a person, the latest first.
    ///
    /// # Errors
    /// The Imprint's.
    pub async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError> {
        let Some(store) = &self.0.imprint else {
            return Ok(Vec::new());
        };
        let known = store.facts(of).await?;
        Ok(fresh(known, self.0.facts_kept_for, Timestamp::now()))
    }

    /// Forgets the facts with these texts; how many there were. What the person has said until now is not drawn from again.
    ///
    /// # Errors
    /// A store's. Doing the same again is safe.
    pub async fn forget_facts(
        &self,
        of: &SessionKey,
        by: &str,
        texts: &[&str],
    ) -> Result<u64, StoreError> {
        let Some(store) = &self.0.imprint else {
            return Ok(0);
        };
        let heard = self.0.length(of).await?;
        let keeping = self.0.keeping();
        let facts = store.amend(of, texts, &[], heard, keeping).await?;
        let what = DeedKind::Forgot { facts, all: false };
        self.0.did_to_imprint(of, by, what).await?;
        Ok(facts)
    }

    /// Forgets all that is known of a person; how many facts there were. What they have said until now is not drawn from
    /// again.
    ///
    /// # Errors
    /// A store's. Doing the same again is safe.
    pub async fn forget_person(&self, of: &SessionKey, by: &str) -> Result<u64, StoreError> {
        let Some(store) = &self.0.imprint else {
            return Ok(0);
        };
        let heard = self.0.length(of).await?;
        let facts = store.erase(of, heard).await?;
        let what = DeedKind::Forgot { facts, all: true };
        self.0.did_to_imprint(of, by, what).await?;
        Ok(facts)
    }

    /// Puts a fact in the place of the one with this text, and gives it as it is known now. What the person has said until
    /// now is not drawn from again.
    ///
    /// # Errors
    /// [`CorrectError`].
    pub async fn correct_fact(
        &self,
        of: &SessionKey,
        by: &str,
        wrong: &str,
        right: &str,
    ) -> Result<Fact, CorrectError> {
        let text = sound(right)?;
        let known = self.facts(of).await?;
        let Some(store) = &self.0.imprint else {
            return Err(CorrectError::NoSuchFact);
        };
        if !known.iter().any(|fact| fact.text == wrong) {
            return Err(CorrectError::NoSuchFact);
        }
        let fact = Fact {
            text,
            at: millis(Timestamp::now()),
        };
        let heard = self.0.length(of).await?;
        let learn = std::slice::from_ref(&fact);
        store
            .amend(of, &[wrong], learn, heard, self.0.keeping())
            .await?;
        self.0.did_to_imprint(of, by, DeedKind::Corrected).await?;
        Ok(fact)
    }
}

impl Inner {
    /// However many there are: what people change about one fact drops no other. How many are kept is for whoever learns.
    fn keeping(&self) -> Keeping {
        Keeping {
            most: usize::MAX,
            max_age: self.facts_kept_for,
        }
    }

    /// How many Echoes a conversation ever had.
    async fn length(&self, session: &SessionKey) -> Result<u64, StoreError> {
        let known = self.echoes.known(std::slice::from_ref(session)).await?;
        let summary = known.into_iter().next().flatten();
        Ok(summary.map_or(0, |summary| summary.length))
    }

    async fn did_to_imprint(
        &self,
        of: &SessionKey,
        by: &str,
        what: DeedKind,
    ) -> Result<(), StoreError> {
        let about = Target::Session(of.clone());
        self.handover.did(&about, Timestamp::now(), by, what).await
    }
}
