//! The Pathfinder picks the Spirit that answers.

use tokio::time::{Instant, timeout};

use super::{
    Inner, Stopped,
    answer::{Answer, Session},
    trace::Trace,
};
use crate::{
    observe::{Event, Stage},
    ports::{memory::Tally, oracle::Fault, pathfinder::Consulted},
    spirit::Spirit,
};

/// The longest that a choice may take; after it the session stays where it is.
const LONGEST_CHOICE: std::time::Duration = std::time::Duration::from_secs(10);

impl Inner {
    /// The Spirit that answers: the Pathfinder's choice, else the one that the session is with, else the Weave's own.
    pub(super) async fn route(
        &self,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> Result<&Spirit, Stopped> {
        let Some(pathfinder) = &self.pathfinder else {
            return Ok(&self.front);
        };
        let began = Instant::now();
        let current = session.recollection.spirit.clone();
        let mut consulted = Vec::new();
        let choosing = pathfinder.choose(answer.pulse(), current.as_ref(), &mut consulted);
        let (chosen, outcome) = match timeout(LONGEST_CHOICE, choosing).await {
            Ok(Ok(Some(chosen))) => (Some(chosen), "chosen"),
            Ok(Ok(None)) => (None, "stays"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Pathfinder failed; the session stays where it is");
                (None, "error")
            }
            Err(_) => {
                tracing::warn!("the Pathfinder took too long; the session stays where it is");
                (None, "timeout")
            }
        };
        self.consulted(&consulted, answer, trace).await?;
        // What nobody chose is not kept: a Pathfinder may still be asking who is meant.
        let kept = chosen.clone().filter(|_| pathfinder.sticks());
        let name = chosen.or(current).unwrap_or_else(|| self.name.clone());
        let spirit = self.spirits.get(&name).unwrap_or_else(|| {
            tracing::warn!(spirit = %name, "the Pathfinder chose a Spirit that this Weave does not have");
            &self.front
        });
        if kept.is_some() && session.recollection.spirit.as_ref() != Some(&spirit.name) {
            session.recollection.spirit = Some(spirit.name.clone());
            session.changed = true;
        }
        answer.spirit = spirit.name.clone();
        trace.stage(Stage::Pathfinder, spirit.name.as_str(), outcome, began);
        Ok(spirit)
    }

    /// Counts what Oracles were asked for the choice, as any other question.
    async fn consulted(
        &self,
        consulted: &[Consulted],
        answer: &Answer<'_>,
        trace: &mut Trace,
    ) -> Result<(), Stopped> {
        let mut used = 0;
        for asked in consulted {
            let error = asked.used.err().map(Fault::as_str);
            self.observer.observe(Event::Oracle {
                provider: asked.provider,
                model: &asked.model,
                took: asked.took,
                usage: asked.used.ok(),
                error,
            });
            let began = Instant::now()
                .checked_sub(asked.took)
                .unwrap_or_else(Instant::now);
            trace.stage(
                Stage::Oracle,
                &asked.model,
                error.unwrap_or_default(),
                began,
            );
            if let Ok(usage) = asked.used {
                trace.usage += usage;
                used += usage.total();
            }
        }
        if self.front.limits.tokens_per_day.is_some() && used > 0 {
            let session = &answer.pulse().session;
            self.memory.tally(session, Tally::Tokens, used).await?;
        }
        Ok(())
    }
}
