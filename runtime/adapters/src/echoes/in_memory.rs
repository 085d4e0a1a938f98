//! An Echo store for one process.

use std::collections::{BTreeMap, HashMap, VecDeque};

use async_trait::async_trait;
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{
        bond::Fence,
        echoes::{Echoes, Glimpse, Stretch, Summary, name_in},
    },
};
use jiff::Timestamp;

use super::NEWEST;
use crate::in_memory::Shared;

/// An Echo store for one process. Keeps the newest [`NEWEST`] Echoes of each session.
#[derive(Debug, Default)]
pub struct InMemoryEchoes(Shared<State>);

#[derive(Debug, Default)]
struct State {
    conversations: HashMap<SessionKey, Conversation>,
    places: BTreeMap<u64, SessionKey>,
}

#[derive(Debug, Default)]
struct Conversation {
    fence: Fence,
    echoes: VecDeque<Echo>,
    /// Zero until something is said.
    place: u64,
    length: u64,
    name: Option<String>,
    last: Option<Glimpse>,
}

impl InMemoryEchoes {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Conversation {
    fn add(&mut self, echoes: &[Echo]) -> bool {
        let before = self.length;
        for echo in echoes {
            if self.echoes.iter().any(|known| known.id == echo.id) {
                continue;
            }
            if self.echoes.len() == NEWEST {
                self.echoes.pop_front();
            }
            self.echoes.push_back(echo.clone());
            self.length += 1;
        }
        self.length > before
    }
}

impl State {
    fn summary(&self, session: &SessionKey) -> Option<Summary> {
        let conversation = self.conversations.get(session)?;
        (conversation.place > 0).then(|| Summary {
            session: session.clone(),
            place: conversation.place,
            length: conversation.length,
            name: conversation.name.clone(),
            last: conversation.last.clone(),
        })
    }

    /// Moves a conversation before all others.
    fn advance(&mut self, session: &SessionKey) {
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        let newest = self.places.last_key_value().map_or(0, |(place, _)| *place);
        let place = now.max(newest + 1);
        if let Some(conversation) = self.conversations.get_mut(session) {
            self.places.remove(&conversation.place);
            conversation.place = place;
            self.places.insert(place, session.clone());
        }
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
        let mut state = self.0.lock();
        let conversation = state.conversations.entry(session.clone()).or_default();
        if let Some(offered) = fence {
            if offered < conversation.fence {
                return Err(StoreError::Fenced {
                    offered,
                    newest: conversation.fence,
                });
            }
            conversation.fence = offered;
        }
        if conversation.add(echoes) {
            if let Some(name) = name_in(echoes) {
                conversation.name = Some(name.to_owned());
            }
            if let Some(last) = Glimpse::of(echoes) {
                conversation.last = Some(last);
            }
            state.advance(session);
        }
        Ok(())
    }

    async fn recent(&self, session: &SessionKey, most: usize) -> Result<Vec<Echo>, StoreError> {
        Ok(self.stretch(session, None, most).await?.echoes)
    }

    async fn stretch(
        &self,
        session: &SessionKey,
        before: Option<u64>,
        most: usize,
    ) -> Result<Stretch, StoreError> {
        let state = self.0.lock();
        let Some(conversation) = state.conversations.get(session) else {
            return Ok(Stretch::default());
        };
        let echoes = &conversation.echoes;
        let oldest = conversation.length - echoes.len() as u64;
        let stop = before
            .unwrap_or(u64::MAX)
            .clamp(oldest, conversation.length);
        let start = stop.saturating_sub(most as u64).max(oldest);
        let index = |number: u64| usize::try_from(number - oldest).unwrap_or(usize::MAX);
        Ok(Stretch {
            echoes: echoes.range(index(start)..index(stop)).cloned().collect(),
            older: (start > oldest).then_some(start),
        })
    }

    async fn latest(&self, before: Option<u64>, most: usize) -> Result<Vec<Summary>, StoreError> {
        let state = self.0.lock();
        let places = state.places.range(..before.unwrap_or(u64::MAX)).rev();
        Ok(places
            .filter_map(|(_, session)| state.summary(session))
            .take(most)
            .collect())
    }

    async fn changed(&self, after: u64, most: usize) -> Result<Vec<Summary>, StoreError> {
        let state = self.0.lock();
        let places = state.places.range(after.saturating_add(1)..);
        Ok(places
            .filter_map(|(_, session)| state.summary(session))
            .take(most)
            .collect())
    }

    async fn known(&self, sessions: &[SessionKey]) -> Result<Vec<Option<Summary>>, StoreError> {
        let state = self.0.lock();
        Ok(sessions
            .iter()
            .map(|session| state.summary(session))
            .collect())
    }
}
