//! `POST /spirits/{spirit}/pulses`: a message on an http voice, answered in the response.
//!
//! The request is one of the voice, signed like any other. The first http voice of the Spirit takes it, or the one that
//! `?voice=` names. What comes back:
//!
//! | status | when | body |
//! |---|---|---|
//! | 200 | the Pulse has ended | an [`Answer`] with its outcome; with `text` when the Spirit spoke |
//! | 200 | it was accepted before | an [`Answer`] with the outcome `duplicate` and without text |
//! | 202 | `Prefer: respond-async`, or it takes longer than the Spirit may | an [`Answer`] with the outcome `accepted`; the reply goes to the voice's `replyUrl` |
//! | 502 | it failed | a problem that says why |
//!
//! With `Accept: text/event-stream` the answer comes while it is being made, as the events of [`super::events`].
//!
//! With `?detail=true` an Answer tells what was done for it, too. The response is sent when the session is free again, so
//! that the next message of the same person is not turned away as busy.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use eywa_adapters::voice::{HttpEnding, HttpVoice, Waiter};
use eywa_weave::{
    EchoBody, PulseId, VoiceName,
    ports::{Voice as _, chronicle::Step, inbox::Acceptance, oracle::Usage},
    pulse::{Choice, Outcome},
    weave::Receipt,
};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use super::{Problem, body, events, received};
use crate::{roster::Roster, serving::Serving};

/// What a Pulse may take beyond the Spirit's own limit: to be spoken, and written down.
const TO_SPEAK_AND_RECORD: Duration = Duration::from_secs(30);
/// The outcome of a Pulse that has none yet.
const ACCEPTED: &str = "accepted";

/// What became of a Pulse, as the response tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The Pulse.
    pub pulse: PulseId,
    /// How it ended, by the name of [`Outcome`]; `accepted` while it has not.
    pub outcome: String,
    /// What the Spirit said, if it spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the person is offered to answer with: a choice's title is what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Why, where the outcome alone does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What was done for it, if that was asked for.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// What was done for a Pulse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// The Spirit that answered, or would have.
    pub spirit: String,
    /// The tools that were called, in order.
    pub tools: Vec<ToolUse>,
    /// What the Scouts found.
    pub findings: Vec<Finding>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What the Oracles used.
    pub usage: Usage,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The tool.
    pub name: String,
    /// What it was called with.
    pub arguments: Value,
    /// What it gave back.
    pub result: String,
    /// Whether it failed.
    pub failed: bool,
}

/// What one Scout found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The Scout.
    pub scout: String,
    /// What it found.
    pub text: String,
}

/// What a caller may say in the query.
#[derive(Deserialize)]
pub(super) struct Wishes {
    voice: Option<VoiceName>,
    #[serde(default)]
    detail: bool,
}

/// Takes a message and answers it.
pub(super) async fn take(
    State(roster): State<Roster>,
    Path(spirit): Path<String>,
    Query(wishes): Query<Wishes>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let serving = roster.get(&spirit).ok_or_else(Problem::unknown_address)?;
    let (name, voice) =
        chosen(&serving, wishes.voice.as_ref()).ok_or_else(Problem::unknown_address)?;
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, voice.body_limit()).await?;
    let later = prefers_async(&parts.headers);
    let aloud = !later && events::wanted(&parts.headers);
    // Before the Pulse is accepted: its reply may be quicker than this task.
    let waiter = if later {
        None
    } else {
        expect(&name, &voice, &parts.headers, aloud)?
    };
    let Receipt::Accepted { pulses, .. } = received(&serving, name, parts, body).await? else {
        return Err(Problem::wrong_method());
    };
    let Some((pulse, acceptance)) = pulses.into_iter().next() else {
        return Err(Problem::nothing_to_answer());
    };
    match (acceptance, waiter) {
        (Acceptance::Duplicate, _) => {
            let answer = Answer::bare(pulse, Outcome::Duplicate.as_str());
            Ok(if aloud {
                events::at_once(&answer)
            } else {
                Json(answer).into_response()
            })
        }
        (Acceptance::New, None) => Ok(accepted(pulse, later)),
        (Acceptance::New, Some(waiter)) if aloud => {
            Ok(events::answer(pulse, waiter, serving, wishes.detail))
        }
        (Acceptance::New, Some(waiter)) => answer(pulse, waiter, &serving, wishes.detail).await,
    }
}

/// The voice of this name, or the first; the name too.
fn chosen(serving: &Serving, wanted: Option<&VoiceName>) -> Option<(VoiceName, Arc<HttpVoice>)> {
    let mut voices = serving.http_voices.iter();
    voices
        .find(|(name, _)| wanted.is_none_or(|wanted| wanted == name))
        .cloned()
}

fn expect(
    name: &VoiceName,
    voice: &HttpVoice,
    headers: &HeaderMap,
    aloud: bool,
) -> Result<Option<Waiter>, Problem> {
    // Without an id the voice will not take it at all.
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
        return Ok(None);
    };
    let pulse = PulseId::new(name, id);
    let waiter = if aloud {
        voice.expect_aloud(&pulse)
    } else {
        voice.expect(&pulse)
    };
    waiter.map(Some).map_err(|_| Problem::full())
}

async fn answer(
    pulse: PulseId,
    mut waiter: Waiter,
    serving: &Serving,
    detail: bool,
) -> Result<Response, Problem> {
    let ending = timeout(longest_wait(serving), waiter.ended())
        .await
        .ok()
        .flatten();
    let answer = ended(pulse, &mut waiter, ending, detail)?;
    Ok(if answer.outcome == ACCEPTED {
        accepted(answer.pulse, false)
    } else {
        Json(answer).into_response()
    })
}

/// How long a Pulse is waited for.
pub(super) fn longest_wait(serving: &Serving) -> Duration {
    serving.pulse_timeout + TO_SPEAK_AND_RECORD
}

/// What became of a Pulse that was waited for, to its end or for as long as anybody waits.
pub(super) fn ended(
    pulse: PulseId,
    waiter: &mut Waiter,
    ending: Option<HttpEnding>,
    detail: bool,
) -> Result<Answer, Problem> {
    let reply = waiter.reply().now_or_never().flatten();
    let (text, choices) = reply
        .map(|reply| (Some(reply.text), reply.choices))
        .unwrap_or_default();
    let Some(ending) = ending else {
        let outcome = if text.is_some() {
            Outcome::Answered.as_str()
        } else {
            ACCEPTED
        };
        return Ok(Answer {
            text,
            choices,
            ..Answer::bare(pulse, outcome)
        });
    };
    if ending.entry.outcome == Outcome::Failed {
        return Err(Problem::failed(&ending.entry.reason));
    }
    Ok(Answer {
        text,
        choices,
        reason: ending.entry.reason.clone(),
        detail: detail.then(|| Detail::of(&ending)),
        ..Answer::bare(pulse, ending.entry.outcome.as_str())
    })
}

impl Answer {
    fn bare(pulse: PulseId, outcome: &str) -> Self {
        Self {
            pulse,
            outcome: outcome.to_owned(),
            text: None,
            choices: Vec::new(),
            reason: String::new(),
            detail: None,
        }
    }
}

impl Detail {
    fn of(ending: &HttpEnding) -> Self {
        let results = || {
            ending.echoes.iter().flat_map(|echo| match &echo.body {
                EchoBody::Tools { results } => results.as_slice(),
                _ => &[],
            })
        };
        let calls = ending.echoes.iter().flat_map(|echo| match &echo.body {
            EchoBody::Agent { calls, .. } => calls.as_slice(),
            _ => &[],
        });
        let tools = calls.map(|call| {
            let result = results().find(|result| result.call == call.id);
            ToolUse {
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                result: result
                    .map(|result| result.content.clone())
                    .unwrap_or_default(),
                failed: result.is_none_or(|result| result.failed),
            }
        });
        let findings = ending.findings.iter().map(|(scout, text)| Finding {
            scout: scout.clone(),
            text: text.clone(),
        });
        Self {
            spirit: ending.entry.spirit.to_string(),
            tools: tools.collect(),
            findings: findings.collect(),
            steps: ending.entry.steps.clone(),
            usage: ending.entry.usage,
        }
    }
}

fn accepted(pulse: PulseId, preferred: bool) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(Answer::bare(pulse, ACCEPTED))).into_response();
    if preferred {
        response.headers_mut().insert(
            "preference-applied",
            HeaderValue::from_static("respond-async"),
        );
    }
    response
}

/// Whether the caller does not want to wait (RFC 7240).
fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).any(|one| {
        let name = one.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("respond-async")
    })
}
