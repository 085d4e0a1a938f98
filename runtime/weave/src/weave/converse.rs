//! The Oracle and the Actions take turns until there is something to say. Bounded in rounds, time and tokens.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    Ended, Inner, Stopped,
    act::{Parking, Round, Toolset},
    answer::{Answer, Session},
    ask::Unanswered,
    choices::offered,
    effects::known,
    scouts::system_prompt,
    trace::Trace,
};
use crate::{
    echo::EchoBody,
    names::SpiritName,
    ports::{memory::Tally, oracle::Stop, vigil::Cause},
    pulse::Outcome,
    spirit::{Facts, Spirit},
};

/// What a Spirit came to.
pub(super) enum Said {
    /// It has something to say.
    Words(String),
    /// What it wants to do waits for a human's yes; with words for the person, where the rule has some.
    Waits(Option<String>),
}

/// What is next.
pub(super) enum Next {
    /// The Spirit says this.
    Say(Said),
    /// Another Spirit goes on.
    Pass(SpiritName),
}

/// How the rounds ended.
enum Came<'s> {
    Words(String),
    Spirit(SpiritName),
    Rites(Vec<Parking<'s>>),
}

impl Inner {
    /// What the Spirit says to this Pulse, or how the turn ended without that.
    pub(super) async fn converse(
        &self,
        spirit: &Spirit,
        answer: &mut Answer<'_>,
        session: &mut Session,
        trace: &mut Trace,
    ) -> Result<Result<Next, Ended>, Stopped> {
        // One for the Pulse, however many Spirits it is handed to.
        let limit = spirit.limits.pulse_timeout;
        let deadline = *answer
            .deadline
            .get_or_insert_with(|| Instant::now() + limit);
        let used_before = trace.usage.total();
        let rounds = self.rounds(spirit, answer, session, deadline, trace);
        let said = match timeout_at(deadline, rounds).await {
            Ok(said) => said,
            Err(_) => {
                let session = &answer.pulse().session;
                self.summon_if_may(session, Cause::Oracles, "no answer came in time")
                    .await;
                Ok(Err(too_long(limit)))
            }
        };
        let used = trace.usage.total() - used_before;
        if self.front.limits.tokens_per_day.is_some() && used > 0 {
            self.memory
                .tally(&answer.pulse().session, Tally::Tokens, used)
                .await?;
        }
        Ok(match said? {
            Ok(Came::Words(words)) => Ok(Next::Say(Said::Words(words))),
            Ok(Came::Spirit(to)) => Ok(Next::Pass(to)),
            Ok(Came::Rites(parkings)) => {
                let notice = parkings
                    .iter()
                    .find_map(|parking| parking.rule.notice.clone());
                // Out of the time limit, which must not cut it in two.
                self.park(spirit, answer.pulse(), parkings).await?;
                Ok(Next::Say(Said::Waits(notice)))
            }
            Err(ended) => Err(ended),
        })
    }

    async fn rounds<'s>(
        &self,
        spirit: &'s Spirit,
        answer: &mut Answer<'_>,
        session: &mut Session,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Result<Came<'s>, Ended>, Stopped> {
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
        let system = system_prompt(persona, &known(&answer.findings, &session.recollection));
        let tools = Toolset::of(spirit, deadline).await;
        session.turns.fit(|name| tools.has(name));
        for _ in 0..spirit.limits.rounds {
            let reply = match self
                .ask(
                    &spirit.oracles,
                    &system,
                    &mut session.turns,
                    tools.specs(),
                    &mut answer.aloud,
                    deadline,
                    trace,
                )
                .await
            {
                Ok(reply) => reply,
                Err(Unanswered::Silenced) => return Ok(Err(Ended::human())),
                Err(Unanswered::Failed(error)) => {
                    let session = &answer.pulse().session;
                    self.summon_if_may(session, Cause::Oracles, "no model answered")
                        .await;
                    return Ok(Err(Ended::new(Outcome::Failed, error.to_string())));
                }
            };
            if reply.calls.is_empty() {
                return Ok(match (reply.text.trim(), reply.stop) {
                    ("", Stop::Policy) => Err(Ended::new(
                        Outcome::Failed,
                        "the provider's policy refused an answer",
                    )),
                    ("", Stop::Length) => Err(Ended::new(
                        Outcome::Failed,
                        "the Oracle used up its tokens before it said anything: raise the Oracle's maxTokens, or lower its \
                         effort",
                    )),
                    ("", _) => Err(Ended::new(
                        Outcome::Failed,
                        "the Oracle answered with nothing",
                    )),
                    (text, _) => Ok(Came::Words(text.to_owned())),
                });
            }
            if let Some(most) = self.front.limits.tokens_per_day
                && session.tokens + trace.usage.total() >= most
            {
                self.summon_for_budget(&answer.pulse().session).await;
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
            if let Some(aloud) = &mut answer.aloud {
                aloud.call(&reply.calls);
            }
            session.turns.agent(&reply.text, &reply.calls);
            answer.add(EchoBody::Agent {
                spirit: spirit.name.clone(),
                text: reply.text,
                calls: reply.calls.clone(),
            });
            let Round {
                mut results,
                effects,
                parkings,
            } = self
                .act(&tools, spirit, answer, &reply.calls, deadline, trace)
                .await?;
            let to = self
                .take_effect(effects, &mut results, answer, session)
                .await?;
            let offer = offered(&reply.calls, &results);
            session.turns.tools(&results);
            answer.add(EchoBody::Tools { results });
            if !parkings.is_empty() {
                return Ok(Ok(Came::Rites(parkings)));
            }
            if let Some(to) = to {
                return Ok(Ok(Came::Spirit(to)));
            }
            if let Some((text, choices)) = offer {
                answer.choices = choices;
                // Beside other calls it waits for what the Oracle makes of their results.
                if reply.calls.len() == 1 {
                    return Ok(Ok(Came::Words(text)));
                }
            }
        }
        let rounds = spirit.limits.rounds;
        Ok(Err(Ended::new(
            Outcome::Failed,
            match answer.handovers {
                0 => format!("no answer after {rounds} rounds of Actions (limits.rounds)"),
                times => format!(
                    "handed over from Spirit to Spirit {times} times, and no answer after {rounds} more rounds of Actions \
                     (limits.rounds)"
                ),
            },
        )))
    }
}

fn too_long(limit: Duration) -> Ended {
    Ended::new(
        Outcome::Failed,
        format!("no answer within {limit:?} (limits.pulseTimeout)"),
    )
}
