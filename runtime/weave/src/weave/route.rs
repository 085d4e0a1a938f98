//! The Pathfinder picks the Spirit that answers.

use tokio::time::{Instant, timeout};

use super::{
    Inner,
    answer::{Answer, Session},
    trace::Trace,
};
use crate::{observe::Stage, spirit::Spirit};

/// The longest that a choice may take; after it the session stays where it is.
const LONGEST_CHOICE: std::time::Duration = std::time::Duration::from_secs(10);

impl Inner {
    /// The Spirit that answers: the Pathfinder's choice, else the one that the session is with, else the Weave's own.
    pub(super) async fn route(
        &self,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> &Spirit {
        let Some(pathfinder) = &self.pathfinder else {
            return &self.front;
        };
        let began = Instant::now();
        let current = session.recollection.spirit.clone();
        let chosen = match timeout(
            LONGEST_CHOICE,
            pathfinder.choose(answer.pulse(), current.as_ref()),
        )
        .await
        {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Pathfinder failed; the session stays where it is");
                None
            }
            Err(_) => {
                tracing::warn!("the Pathfinder took too long; the session stays where it is");
                None
            }
        };
        let name = chosen.or(current).unwrap_or_else(|| self.name.clone());
        let spirit = self.spirits.get(&name).unwrap_or_else(|| {
            tracing::warn!(spirit = %name, "the Pathfinder chose a Spirit that this Weave does not have");
            &self.front
        });
        if pathfinder.sticks() && session.recollection.spirit.as_ref() != Some(&spirit.name) {
            session.recollection.spirit = Some(spirit.name.clone());
            session.changed = true;
        }
        answer.spirit = spirit.name.clone();
        trace.stage(Stage::Pathfinder, spirit.name.as_str(), "", began);
        spirit
    }
}
