//! Asking the Oracles: the Spirit's own, again where that may help, then its fallbacks in their order.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::{Inner, history::Turns, trace::Trace};
use crate::{
    observe::{Event, Stage},
    ports::oracle::{Fault, OracleError, Question, Reply},
    spirit::{Asking, Spirit},
    tool::ToolSpec,
};

/// How often one Oracle is asked the same before the next is.
const MOST_TRIES: u32 = 3;
/// The first pause before asking again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer, whatever the provider hints: its fallbacks are quicker.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Inner {
    /// Asks until there is a reply. The conversation is shortened, once an Oracle, if it is too long for that.
    pub(super) async fn ask(
        &self,
        spirit: &Spirit,
        system: &str,
        turns: &mut Turns,
        tools: &[Arc<ToolSpec>],
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Reply, OracleError> {
        let mut last = OracleError::new("eywa", Fault::Malformed, "the Spirit has no Oracle");
        for asking in &spirit.oracles {
            let (mut tries, mut shortened) = (0, false);
            loop {
                tries += 1;
                last = match self.ask_once(asking, system, turns, tools, trace).await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                };
                tracing::warn!(
                    oracle = last.provider, model = asking.oracle.model(), fault = last.fault.as_str(), error = %last,
                    "an Oracle did not answer"
                );
                match last.fault {
                    Fault::Refused => return Err(last),
                    Fault::TooLong if !shortened && turns.shorten() => shortened = true,
                    fault if fault.may_pass() && tries < MOST_TRIES => {
                        let pause = pause(tries, fault);
                        if Instant::now() + pause >= deadline {
                            break;
                        }
                        sleep(pause).await;
                    }
                    _ => break,
                }
            }
        }
        Err(last)
    }

    async fn ask_once(
        &self,
        asking: &Asking,
        system: &str,
        turns: &Turns,
        tools: &[Arc<ToolSpec>],
        trace: &mut Trace,
    ) -> Result<Reply, OracleError> {
        let question = Question {
            system,
            turns: turns.as_slice(),
            tools,
            temperature: asking.temperature,
            max_tokens: asking.max_tokens,
        };
        let began = Instant::now();
        let reply = timeout(asking.timeout, asking.oracle.ask(question, None))
            .await
            .unwrap_or_else(|_| {
                let message = format!("no answer within {:?}", asking.timeout);
                Err(OracleError::new(
                    asking.oracle.provider(),
                    Fault::TimedOut,
                    message,
                ))
            });
        let error = reply.as_ref().err().map(|error| error.fault.as_str());
        if let Ok(reply) = &reply {
            trace.usage += reply.usage;
            if let Some(request) = &reply.request_id {
                tracing::debug!(
                    oracle = asking.oracle.provider(),
                    request,
                    "the Oracle answered"
                );
            }
        }
        self.observer.observe(Event::Oracle {
            provider: asking.oracle.provider(),
            model: asking.oracle.model(),
            took: began.elapsed(),
            usage: reply.as_ref().ok().map(|reply| reply.usage),
            error,
        });
        trace.stage(
            Stage::Oracle,
            asking.oracle.model(),
            error.unwrap_or_default(),
            began,
        );
        reply
    }
}

/// Before asking again: the provider's hint, or twice as long each time, with jitter; never longer than the ceiling.
fn pause(tries: u32, fault: Fault) -> Duration {
    let base = match fault {
        Fault::RateLimited(Some(hint)) => hint,
        _ => FIRST_PAUSE * 2_u32.saturating_pow(tries - 1),
    };
    base.mul_f64(rand::rng().random_range(1.0..1.5))
        .min(LONGEST_PAUSE)
}
