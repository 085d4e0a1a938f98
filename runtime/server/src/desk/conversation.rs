//! One conversation, as the desk shows it.

use std::collections::{HashMap, HashSet};

use eywa_weave::{
    SessionKey, StoreError,
    ports::{
        echoes::{Author, Summary},
        rite::Standing,
        vigil::{Phase, Target, Watch},
    },
};
use jiff::Timestamp;
use serde::Serialize;

use crate::serving::Serving;

/// The most conversations that a human has, or is asked to take, that are known of one Spirit.
pub(super) const MOST_OPEN: usize = 2000;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conversation {
    pub(super) spirit: String,
    pub(super) session: String,
    voice: String,
    user: User,
    pub(super) phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_reason: Option<String>,
    unanswered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<Timestamp>,
    last_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_from: Option<Author>,
    pending_rites: usize,
    answering: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct User {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// What a Spirit's conversations are shown with, besides what was said in them: read once for all of them.
pub(super) struct Scenery {
    /// What people have, or are asked to take.
    pub(super) open: HashMap<SessionKey, Watch>,
    /// The Vigil over all conversations.
    pub(super) everyone: Watch,
    /// How many Rites wait, by session.
    pending: HashMap<SessionKey, usize>,
}

impl Scenery {
    /// As it is now.
    pub(super) async fn of(serving: &Serving) -> Result<Self, StoreError> {
        let (everyone, open, rites) = tokio::try_join!(
            serving.stores.vigil.state(&Target::Everyone),
            serving.stores.vigil.open(MOST_OPEN),
            serving.weave().rites(None),
        )?;
        let mut pending = HashMap::new();
        for rite in rites {
            if rite.standing == Standing::Pending {
                *pending.entry(rite.asked.session).or_insert(0) += 1;
            }
        }
        let open = open
            .into_iter()
            .filter_map(|(target, watch)| match target {
                Target::Session(session) => Some((session, watch)),
                Target::Everyone => None,
            })
            .collect();
        Ok(Self {
            open,
            everyone,
            pending,
        })
    }

    /// These conversations, in the same order; of the sessions alone where nobody has spoken yet.
    pub(super) async fn conversations(
        &self,
        serving: &Serving,
        rows: &[(SessionKey, Option<Summary>)],
    ) -> Result<Vec<Conversation>, StoreError> {
        let sessions: Vec<SessionKey> = rows.iter().map(|(session, _)| session.clone()).collect();
        // Those that are not open were released, or never anybody's.
        let closed: Vec<Target> = sessions
            .iter()
            .filter(|session| !self.open.contains_key(*session))
            .map(|session| Target::Session(session.clone()))
            .collect();
        let vigil = &serving.stores.vigil;
        let (busy, closed) = tokio::try_join!(
            serving.stores.bond.busy(&sessions),
            futures::future::try_join_all(closed.iter().map(|target| async move {
                let watch = vigil.state(target).await?;
                Ok((target.clone(), watch))
            })),
        )?;
        let busy: HashSet<&SessionKey> = sessions
            .iter()
            .zip(busy)
            .filter_map(|(session, busy)| busy.then_some(session))
            .collect();
        let closed: HashMap<Target, Watch> = closed.into_iter().collect();
        let nobody = Watch::default();
        Ok(rows
            .iter()
            .map(|(session, summary)| {
                let own = self
                    .open
                    .get(session)
                    .or_else(|| closed.get(&Target::Session(session.clone())))
                    .unwrap_or(&nobody);
                self.conversation(
                    serving,
                    session,
                    summary.as_ref(),
                    own,
                    busy.contains(session),
                )
            })
            .collect())
    }

    fn conversation(
        &self,
        serving: &Serving,
        session: &SessionKey,
        summary: Option<&Summary>,
        own: &Watch,
        busy: bool,
    ) -> Conversation {
        // Who has all of them has each, unless somebody has just this one.
        let watch = if self.everyone.phase.is_human() && !own.phase.is_human() {
            &self.everyone
        } else {
            own
        };
        let last = summary.and_then(|summary| summary.last.as_ref());
        let name = summary.and_then(|summary| summary.name.clone());
        Conversation {
            spirit: serving.name().to_string(),
            session: session.to_string(),
            voice: session.voice.to_string(),
            user: User {
                id: session.user.to_string(),
                name,
            },
            phase: watch.phase,
            by: some(&watch.by),
            since: watch.since,
            requested_at: own.requested_at,
            request_reason: some(&own.request_reason),
            unanswered: if own.phase.is_human() {
                own.unanswered
            } else {
                0
            },
            last_at: last.map(|last| last.at),
            last_text: last.map(|last| last.text.clone()).unwrap_or_default(),
            last_from: last.map(|last| last.from),
            pending_rites: self.pending.get(session).copied().unwrap_or_default(),
            // Under a Vigil the Bond is held only while a Pulse is put down.
            answering: busy && !watch.phase.is_human(),
        }
    }
}

/// One conversation as it is now.
pub(super) async fn current(
    serving: &Serving,
    session: &SessionKey,
) -> Result<Conversation, StoreError> {
    let sessions = [session.clone()];
    let (scenery, known) =
        tokio::try_join!(Scenery::of(serving), serving.stores.echoes.known(&sessions))?;
    let row = (session.clone(), known.into_iter().next().flatten());
    let mut shown = scenery.conversations(serving, &[row]).await?;
    shown
        .pop()
        .ok_or_else(|| StoreError::unavailable("desk", "the conversation was not found again"))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
