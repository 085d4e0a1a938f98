//! Taking conversations over, answering in them, and giving them back.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};
use eywa_weave::{
    Echo, SessionKey, StoreError,
    ports::{
        vigil::{Phase, Target, Watch},
        voice::VoiceError,
    },
    weave::{HandoverError, ReplyError},
};
use futures::future::try_join_all;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Desk,
    access::{Person, Right},
    conflict,
    conversation::{Conversation, current},
    read, session,
};
use crate::{http::Problem, serving::Serving};

/// The longest reply, in characters: more than any channel takes in one message, and no more than it takes in ten.
const LONGEST_REPLY: usize = 16_384;
/// The longest id of a reply.
const LONGEST_ID: usize = 128;

/// A Spirit that says nothing in any conversation, or that speaks again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Silence {
    spirit: String,
    session: &'static str,
    phase: Phase,
    #[serde(skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl Silence {
    pub(super) fn of(serving: &Serving, watch: Watch) -> Self {
        Self {
            spirit: serving.name().to_string(),
            session: "*",
            phase: watch.phase,
            by: watch.by,
            since: watch.since,
        }
    }
}

/// The Spirits among these that are silenced.
pub(super) async fn silenced(servings: &[Arc<Serving>]) -> Result<Vec<Silence>, StoreError> {
    let states = try_join_all(servings.iter().map(|serving| async move {
        let watch = serving.stores.vigil.state(&Target::Everyone).await?;
        Ok::<_, StoreError>((serving, watch))
    }))
    .await?;
    Ok(states
        .into_iter()
        .filter(|(_, watch)| watch.phase.is_human())
        .map(|(serving, watch)| Silence::of(serving, watch))
        .collect())
}

/// Whose name it is done in is never theirs to say.
#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
struct Words {
    id: String,
    text: String,
}

#[derive(Serialize)]
pub(super) struct Replied {
    echo: Echo,
}

/// Who it is, if they may take over, and the conversation of this path.
async fn attending(
    desk: &Desk,
    headers: &HeaderMap,
    (spirit, of): &(String, String),
) -> Result<(Person, Arc<Serving>, SessionKey), Problem> {
    let person = desk.admit(headers, Right::TakeOver).await?;
    Ok((person, desk.serving(spirit)?, session(of)?))
}

/// `POST /api/conversations/{spirit}/{session}/takeover`
pub(super) async fn take_over(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Json<Conversation>, Problem> {
    let (person, serving, of) = attending(&desk, &headers, &path).await?;
    let _: Order = read(&headers, body).await?;
    let target = Target::Session(of.clone());
    serving.weave().take_over(&target, &person.name).await?;
    Ok(Json(current(&serving, &of).await?))
}

/// `POST /api/conversations/{spirit}/{session}/release`
pub(super) async fn give_back(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Json<Conversation>, Problem> {
    let (person, serving, of) = attending(&desk, &headers, &path).await?;
    let Order { force } = read(&headers, body).await?;
    let target = Target::Session(of.clone());
    serving
        .weave()
        .give_back(&target, &person.name, force)
        .await?;
    Ok(Json(current(&serving, &of).await?))
}

/// `POST /api/conversations/{spirit}/{session}/reply`
pub(super) async fn reply(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Body,
) -> Result<Json<Replied>, Problem> {
    let (person, serving, of) = attending(&desk, &headers, &path).await?;
    let Words { id, text } = read(&headers, body).await?;
    let sound = !id.is_empty()
        && id.len() <= LONGEST_ID
        && id.chars().all(|c| c.is_ascii_graphic())
        && text.chars().count() <= LONGEST_REPLY;
    if !sound {
        return Err(not_sent(format!(
            "`id` is 1 to {LONGEST_ID} ASCII characters of your own making, and `text` has at most {LONGEST_REPLY}."
        )));
    }
    // In a task of its own: a browser that goes away must not leave it half sent.
    let sending = tokio::spawn({
        let (weave, of) = (serving.weave().clone(), of.clone());
        async move { weave.reply_as_human(&of, &person.name, &id, &text).await }
    });
    let echo = sending.await.map_err(|_| unknown_fate())??;
    Ok(Json(Replied { echo }))
}

/// `POST /api/conversations/{spirit}/{session}/typing`
pub(super) async fn typing(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (person, serving, of) = attending(&desk, &headers, &path).await?;
    serving.weave().types_as_human(&of, &person.name).await?;
    desk.0.feeds.typing(serving.name(), &of, &person.name);
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/spirits/{spirit}/takeover`
pub(super) async fn silence(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(spirit): Path<String>,
    body: Body,
) -> Result<Json<Silence>, Problem> {
    let person = desk.admit(&headers, Right::TakeOver).await?;
    let serving = desk.serving(&spirit)?;
    let _: Order = read(&headers, body).await?;
    let watch = serving
        .weave()
        .take_over(&Target::Everyone, &person.name)
        .await?;
    Ok(Json(Silence::of(&serving, watch)))
}

/// `POST /api/spirits/{spirit}/release`: anybody who may take over may lift it, whoever it was that silenced the Spirit.
pub(super) async fn lift(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path(spirit): Path<String>,
    body: Body,
) -> Result<Json<Silence>, Problem> {
    let person = desk.admit(&headers, Right::TakeOver).await?;
    let serving = desk.serving(&spirit)?;
    let _: Order = read(&headers, body).await?;
    let watch = serving
        .weave()
        .give_back(&Target::Everyone, &person.name, true)
        .await?;
    Ok(Json(Silence::of(&serving, watch)))
}

fn not_sent(detail: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not-sent",
        "The reply was not sent",
        detail,
    )
}

fn unknown_fate() -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "unknown-fate",
        "Whether the reply arrived is not known",
        "Look at the conversation; sending it again with the same id says it once at most.",
    )
}

impl From<HandoverError> for Problem {
    fn from(error: HandoverError) -> Self {
        match error {
            HandoverError::TakenBy { by, .. } => conflict(
                "Somebody else has this conversation",
                format!("{by} has it."),
                &by,
            ),
            HandoverError::Store(error) => error.into(),
        }
    }
}

impl From<ReplyError> for Problem {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::NotYours { by } if by.is_empty() => conflict(
                "You do not have this conversation",
                "Nobody has it: take it over before you answer.".to_owned(),
                "",
            ),
            ReplyError::NotYours { by } => conflict(
                "You do not have this conversation",
                format!("{by} has it."),
                &by,
            ),
            ReplyError::Length => not_sent("There is no text, or too much of it.".to_owned()),
            ReplyError::NeverHeard => not_sent(
                "Nobody has written in this conversation, so there is no address to answer to."
                    .to_owned(),
            ),
            ReplyError::Busy => Self::unavailable(
                "busy",
                "Another reply is being sent",
                "Send it again in a moment, with the same id.",
            ),
            ReplyError::Channel(VoiceError::Busy { message, .. }) => {
                Self::unavailable("channel-busy", "The channel cannot take it now", message)
            }
            ReplyError::Channel(VoiceError::Unknown { .. }) => unknown_fate(),
            ReplyError::Channel(refused) => not_sent(refused.to_string()),
            ReplyError::Store(error) => error.into(),
        }
    }
}
