//! The Imprint: long-term memory of a person.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{error::StoreError, names::SessionKey};

/// Something known of a person. Drawn from what they said: data, never instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// In one sentence.
    pub text: String,
    /// When it was last learnt.
    pub at: Timestamp,
}

/// Keeps what is known of a person, across conversations.
#[async_trait]
pub trait Imprint: Send + Sync {
    /// What is known, the latest first.
    async fn facts(&self, of: &SessionKey) -> Result<Vec<Fact>, StoreError>;

    /// Learns. A fact whose text is known is made new; beyond `most` facts the oldest are dropped.
    async fn learn(&self, of: &SessionKey, facts: &[Fact], most: usize) -> Result<(), StoreError>;

    /// Forgets the facts with these texts, or all when there are none given; how many there were.
    async fn forget(&self, of: &SessionKey, texts: &[&str]) -> Result<u64, StoreError>;
}
