//! An Echo store for one process.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{bond::Fence, echoes::Echoes},
};

use super::NEWEST;
use crate::in_memory::Shared;

/// An Echo store for one process. Keeps the newest [`NEWEST`] Echoes of each session.
#[derive(Debug, Default)]
pub struct InMemoryEchoes(Shared<HashMap<SessionKey, Conversation>>);

#[derive(Debug, Default)]
struct Conversation {
    fence: Fence,
    echoes: VecDeque<Echo>,
}

impl InMemoryEchoes {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Echoes for InMemoryEchoes {
    async fn append(
        &self,
        session: &SessionKey,
        fence: Option<Fence>,
        echoes: &[Echo],
    ) -> Result<(), StoreError> {
        let mut conversations = self.0.lock();
        let conversation = conversations.entry(session.clone()).or_default();
        if let Some(offered) = fence {
            if offered < conversation.fence {
                return Err(StoreError::Fenced {
                    offered,
                    newest: conversation.fence,
                });
            }
            conversation.fence = offered;
        }
        for echo in echoes {
            if conversation.echoes.iter().any(|known| known.id == echo.id) {
                continue;
            }
            if conversation.echoes.len() == NEWEST {
                conversation.echoes.pop_front();
            }
            conversation.echoes.push_back(echo.clone());
        }
        Ok(())
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        let conversations = self.0.lock();
        let Some(conversation) = conversations.get(session) else {
            return Ok(Vec::new());
        };
        let echoes = &conversation.echoes;
        Ok(echoes
            .iter()
            .skip(echoes.len().saturating_sub(most))
            .cloned()
            .collect())
    }
}
