//! What a Vigil object asks.

use std::time::Duration;

use eywa_crds::{
    Vigil,
    vigil::{FOLLOWED, KEPT_BY, KEPT_BY_RUNTIME, VigilPhase},
};
use eywa_weave::{names::NotASession, ports::vigil::Target};
use jiff::Timestamp;

use super::status::{READY, SUPERSEDED};

/// What a Vigil object asks, and whether that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The object's name.
    pub name: String,
    /// The generation of its spec.
    pub generation: i64,
    /// When the object was made. Of two about one conversation, the older counts.
    pub created_at: Timestamp,
    /// What it is about.
    pub target: Target,
    /// Whether people are to have it.
    pub takeover: bool,
    /// Who; empty when the object does not say.
    pub by: String,
    /// The idle time after which it is given back; zero for never, and the Spirit's when absent.
    pub release_after: Option<Duration>,
    /// Whether this generation asks for nothing any more: a pod has carried it out, by the object's status, or wrote it
    /// itself to say what is.
    pub done: bool,
    /// Whether the runtime may change the object and delete it.
    pub kept: bool,
    /// Whether nobody has the conversation or is asked to take it, as far as the object was told.
    pub idle: bool,
}

/// A Vigil object that names no conversation. The API server refuses such a one; a file may hold it.
#[derive(Debug, thiserror::Error)]
#[error("the Vigil {name}: {reason}")]
pub struct InvalidOrder {
    /// The object.
    pub name: String,
    /// What is wrong with its session.
    #[source]
    pub reason: NotASession,
}

impl Order {
    /// Reads the object.
    ///
    /// # Errors
    /// When its session is none.
    pub fn of(vigil: &Vigil) -> Result<Self, InvalidOrder> {
        let name = vigil.metadata.name.clone().unwrap_or_default();
        let generation = vigil.metadata.generation.unwrap_or_default();
        let status = vigil.status.as_ref();
        let superseded = status.is_some_and(|status| {
            status
                .conditions
                .iter()
                .any(|condition| condition.type_ == READY && condition.reason == SUPERSEDED)
        });
        let labels = vigil.metadata.labels.as_ref();
        let followed = vigil
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(FOLLOWED)?.parse().ok());
        let phase = status.and_then(|status| status.phase).unwrap_or_default();
        Ok(Self {
            kept: labels
                .is_some_and(|labels| labels.get(KEPT_BY).is_some_and(|by| by == KEPT_BY_RUNTIME)),
            idle: matches!(phase, VigilPhase::Watching | VigilPhase::Released),
            generation,
            created_at: vigil
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::MAX, |created| created.0),
            target: vigil.spec.session.parse().map_err(|reason| InvalidOrder {
                name: name.clone(),
                reason,
            })?,
            takeover: vigil.spec.takeover,
            by: vigil.spec.by.clone().unwrap_or_default(),
            release_after: vigil.spec.release_after.map(Duration::from),
            // One that stood behind another has had nothing done for it, whatever generation its status speaks of.
            done: !superseded
                && (followed == Some(generation)
                    || status.and_then(|status| status.observed_generation) == Some(generation)),
            name,
        })
    }
}
