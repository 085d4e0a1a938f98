//! Asking the Oracles: the Spirit's own, again where that may help, then its fallbacks in their order.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Inner,
    aloud::{Aloud, Coming, Silenced},
    breaker::Change,
    history::Turns,
    trace::Trace,
};
use crate::{
    observe::{Event, Stage},
    ports::oracle::{Fault, OracleError, Question, Reply, Usage},
    spirit::Asking,
    tool::ToolSpec,
};

/// How often one Oracle is asked the same before the next is.
const MOST_TRIES: u32 = 3;
/// The first pause before asking again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer, whatever the provider hints: its fallbacks are quicker.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why there is no reply.
pub(super) enum Unanswered {
    /// No Oracle had one: the last one's failure.
    Failed(OracleError),
    /// A human took over while the reply was being heard.
    Silenced,
}

impl Inner {
    /// Asks until there is a reply. The conversation is shortened, once an Oracle, if it is too long for that.
    #[expect(clippy::too_many_arguments, reason = "each is its own thing")]
    pub(super) async fn ask(
        &self,
        oracles: &[Asking],
        system: &str,
        turns: &mut Turns,
        tools: &[Arc<ToolSpec>],
        aloud: &mut Option<Aloud>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Reply, Unanswered> {
        let mut last = OracleError::new("eywa", Fault::Malformed, "the Spirit has no Oracle");
        for (at, asking) in oracles.iter().enumerate() {
            let is_last = at + 1 == oracles.len();
            let (mut tries, mut shortened) = (0, false);
            // The turns with their files, where they are asked about without.
            let mut with_files = None;
            loop {
                tries += 1;
                let question = Question {
                    system,
                    turns: turns.as_slice(),
                    tools,
                    temperature: asking.temperature,
                    max_tokens: asking.max_tokens,
                    effort: asking.effort,
                };
                last = match self.ask_if_alive(asking, question, aloud, trace).await? {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                };
                if let Some(aloud) = aloud {
                    aloud.again();
                }
                tracing::warn!(
                    oracle = last.provider, model = asking.oracle.model(), fault = last.fault.as_str(), error = %last,
                    "an Oracle did not answer"
                );
                match last.fault {
                    Fault::Refused => return Err(Unanswered::Failed(last)),
                    Fault::TooLong if !shortened && turns.shorten() => shortened = true,
                    // A file that this one cannot read, broken or locked by a password, is no reason to be silent, now and for
                    // as long as it stands in the history.
                    Fault::TooLong | Fault::Malformed
                        if with_files.is_none() && turns.has_media() =>
                    {
                        with_files = Some(turns.clone());
                        turns.unload("the model does not take it");
                    }
                    fault
                        if fault.may_pass() && tries < MOST_TRIES && !asking.breaker.is_open() =>
                    {
                        let pause = pause(tries, fault);
                        // The next Oracle is to have its time, too.
                        let time = if is_last {
                            Duration::ZERO
                        } else {
                            asking.timeout
                        };
                        if Instant::now() + pause + time >= deadline {
                            break;
                        }
                        sleep(pause).await;
                    }
                    _ => break,
                }
            }
            if let Some(whole) = with_files {
                *turns = whole;
            }
        }
        Err(Unanswered::Failed(last))
    }

    /// Asks once, unless this Oracle has been dead for a while.
    async fn ask_if_alive(
        &self,
        asking: &Asking,
        question: Question<'_>,
        aloud: &mut Option<Aloud>,
        trace: &mut Trace,
    ) -> Result<Result<Reply, OracleError>, Unanswered> {
        let provider = asking.oracle.provider();
        let asked = match asking.breaker.ask(asking.timeout) {
            Ok(asked) => asked,
            Err(rest) => {
                let message = format!(
                    "not asked: it has failed again and again, and is left alone for {:.0} s more",
                    rest.as_secs_f64().ceil()
                );
                return Ok(Err(OracleError::new(provider, Fault::Overloaded, message)));
            }
        };
        let reply = self.ask_once(asking, question, aloud, trace).await?;
        let change = asked.ended(reply.as_ref().err().map(|error| error.fault));
        let model = asking.oracle.model();
        match change {
            None => {}
            Some(Change::Opened(rest)) => {
                tracing::warn!(oracle = provider, model, ?rest, "an Oracle is left alone");
            }
            Some(Change::Closed) => {
                tracing::info!(oracle = provider, model, "an Oracle answers again");
            }
        }
        if let Some(change) = change {
            self.observer.observe(Event::Breaker {
                provider,
                model,
                open: change != Change::Closed,
            });
        }
        Ok(reply)
    }

    async fn ask_once(
        &self,
        asking: &Asking,
        question: Question<'_>,
        aloud: &mut Option<Aloud>,
        trace: &mut Trace,
    ) -> Result<Result<Reply, OracleError>, Unanswered> {
        let began = Instant::now();
        let reply = match aloud {
            None => in_time(asking, asking.oracle.ask(question, None)).await,
            Some(aloud) => match self.ask_aloud(asking, question, aloud).await {
                Ok(reply) => reply,
                Err(Silenced) => {
                    self.asked(asking, began, Ok(None), trace);
                    return Err(Unanswered::Silenced);
                }
            },
        };
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
        let used = reply.as_ref().map(|reply| Some(reply.usage));
        self.asked(asking, began, used.map_err(|error| error.fault), trace);
        Ok(reply)
    }

    /// Asks once, and lets be heard what comes.
    async fn ask_aloud(
        &self,
        asking: &Asking,
        question: Question<'_>,
        aloud: &mut Aloud,
    ) -> Result<Result<Reply, OracleError>, Silenced> {
        let coming = Coming::default();
        let mut on_text = |piece: &str| coming.add(piece);
        let answering = in_time(asking, asking.oracle.ask(question, Some(&mut on_text)));
        let reply = tokio::select! {
            biased;
            silenced = self.pass_on(aloud, &coming) => return Err(silenced),
            reply = answering => reply,
        };
        match &reply {
            Ok(reply) if reply.calls.is_empty() => self.pass(aloud, &coming).await?,
            // What it said is no part of the answer.
            _ => {
                aloud.again();
                self.pause(aloud).await;
            }
        }
        Ok(reply)
    }

    /// Tells that an Oracle was asked, and what came of it.
    fn asked(
        &self,
        asking: &Asking,
        began: Instant,
        used: Result<Option<Usage>, Fault>,
        trace: &mut Trace,
    ) {
        let error = used.err().map(Fault::as_str);
        self.observer.observe(Event::Oracle {
            provider: asking.oracle.provider(),
            model: asking.oracle.model(),
            took: began.elapsed(),
            usage: used.unwrap_or_default(),
            error,
        });
        trace.stage(
            Stage::Oracle,
            asking.oracle.model(),
            error.unwrap_or_default(),
            began,
        );
    }
}

/// A question's answer, if it comes within the Spirit's time for it.
async fn in_time(
    asking: &Asking,
    answering: impl Future<Output = Result<Reply, OracleError>>,
) -> Result<Reply, OracleError> {
    timeout(asking.timeout, answering)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {:?}", asking.timeout);
            Err(OracleError::new(
                asking.oracle.provider(),
                Fault::TimedOut,
                message,
            ))
        })
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
