//! The Oracle and the Actions take turns until there is something to say. Bounded in rounds, time and tokens.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    Ended, Inner, Stopped,
    act::Toolset,
    answer::{Answer, Session},
    scouts::system_prompt,
    trace::Trace,
};
use crate::{
    echo::EchoBody,
    ports::{memory::Tally, oracle::Stop},
    pulse::Outcome,
    spirit::{Facts, Spirit},
};

impl Inner {
    /// What the Spirit says to this Pulse, or how the turn ended without that.
    pub(super) async fn converse(
        &self,
        spirit: &Spirit,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> Result<Result<String, Ended>, Stopped> {
        let deadline = Instant::now() + spirit.limits.pulse_timeout;
        let rounds = self.rounds(spirit, answer, session, deadline, trace);
        let said = timeout_at(deadline, rounds)
            .await
            .unwrap_or_else(|_| Ok(Err(too_long(spirit.limits.pulse_timeout))));
        if self.front.limits.tokens_per_day.is_some() && trace.usage.total() > 0 {
            self.memory
                .tally(&answer.pulse().session, Tally::Tokens, trace.usage.total())
                .await?;
        }
        said
    }

    async fn rounds(
        &self,
        spirit: &Spirit,
        answer: &mut Answer<'_>,
        session: &mut Session,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Result<String, Ended>, Stopped> {
        let facts = Facts {
            pulse: answer.pulse(),
            spirit: &spirit.name,
            now: jiff::Timestamp::now(),
        };
        let persona = match spirit.persona.render(facts) {
            Ok(persona) => persona,
            Err(error) => {
                return Ok(Err(Ended::new(
                    Outcome::Failed,
                    format!("the persona cannot be rendered: {error}"),
                )));
            }
        };
        let system = system_prompt(persona, &answer.findings);
        let tools = Toolset::of(spirit, deadline).await;
        for _ in 0..spirit.limits.rounds {
            let reply = match self
                .ask(
                    spirit,
                    &system,
                    &mut session.turns,
                    tools.specs(),
                    deadline,
                    trace,
                )
                .await
            {
                Ok(reply) => reply,
                Err(error) => return Ok(Err(Ended::new(Outcome::Failed, error.to_string()))),
            };
            if reply.calls.is_empty() {
                return Ok(match (reply.text.trim(), reply.stop) {
                    ("", Stop::Policy) => Err(Ended::new(
                        Outcome::Failed,
                        "the provider's policy refused an answer",
                    )),
                    ("", _) => Err(Ended::new(
                        Outcome::Failed,
                        "the Oracle answered with nothing",
                    )),
                    (text, _) => Ok(text.to_owned()),
                });
            }
            if let Some(most) = self.front.limits.tokens_per_day
                && session.tokens + trace.usage.total() >= most
            {
                return Ok(Err(Ended::out_of_tokens(most)));
            }
            // From the moment that a human takes over, the Spirit does nothing more in the world.
            if self
                .vigil
                .watch(&answer.pulse().session)
                .await?
                .phase
                .is_human()
            {
                return Ok(Err(Ended::human()));
            }
            session.turns.agent(&reply.text, &reply.calls);
            answer.add(EchoBody::Agent {
                spirit: spirit.name.clone(),
                text: reply.text,
                calls: reply.calls.clone(),
            });
            let results = self
                .act(
                    &tools,
                    spirit,
                    answer.pulse(),
                    &reply.calls,
                    deadline,
                    trace,
                )
                .await;
            session.turns.tools(&results);
            answer.add(EchoBody::Tools { results });
        }
        let rounds = spirit.limits.rounds;
        Ok(Err(Ended::new(
            Outcome::Failed,
            format!("no answer after {rounds} rounds of Actions (limits.rounds)"),
        )))
    }
}

fn too_long(limit: Duration) -> Ended {
    Ended::new(
        Outcome::Failed,
        format!("no answer within {limit:?} (limits.pulseTimeout)"),
    )
}
