//! What is remembered of a person: showing it, having it forgotten, and correcting it. Their right, which the people at
//! the desk see to.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};
use eywa_weave::{ports::imprint::Fact, weave::CorrectError};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Desk, access::Right, not_found, read, session, unreadable};
use crate::http::Problem;

/// The most facts that are forgotten by one request: more than a person has.
const MOST_TEXTS: usize = 500;

/// What is known of a person.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Known {
    spirit: String,
    session: String,
    /// Whether the Spirit draws facts from conversations now. What it knew before is listed all the same.
    enabled: bool,
    facts: Vec<Numbered>,
}

/// A fact, by the number that a person may name it by: it changes whenever anything is learnt.
#[derive(Serialize)]
pub(super) struct Numbered {
    number: usize,
    text: String,
    at: Timestamp,
}

#[derive(Deserialize)]
struct Forgetting {
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    all: bool,
}

#[derive(Serialize)]
pub(super) struct Forgotten {
    forgotten: u64,
}

#[derive(Deserialize)]
struct Correction {
    text: String,
    correct: String,
}

#[derive(Serialize)]
pub(super) struct Corrected {
    fact: Fact,
}

/// `GET /api/conversations/{spirit}/{session}/imprint`
pub(super) async fn show(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of)): Path<(String, String)>,
) -> Result<Json<Known>, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let (serving, of) = (desk.serving(&spirit)?, session(&of)?);
    let facts = serving.weave().facts(&of).await?;
    let facts = facts.into_iter().zip(1..);
    Ok(Json(Known {
        spirit: serving.name().to_string(),
        session: of.to_string(),
        enabled: serving.weave().remembering().is_some(),
        facts: facts
            .map(|(Fact { text, at }, number)| Numbered { number, text, at })
            .collect(),
    }))
}

/// `POST /api/conversations/{spirit}/{session}/imprint/forget`
pub(super) async fn forget(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Forgotten>, Problem> {
    let person = desk.admit(&headers, Right::TakeOver).await?;
    let (serving, of) = (desk.serving(&spirit)?, session(&of)?);
    let Forgetting { texts, all } = read(&headers, body).await?;
    if all != texts.is_empty() || texts.len() > MOST_TEXTS {
        return Err(unreadable(format!(
            "Say what is to be forgotten: `texts`, at most {MOST_TEXTS}, or `all`, and not both."
        )));
    }
    let weave = serving.weave();
    let forgotten = if all {
        weave.forget_person(&of, &person.name).await?
    } else {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        weave.forget_facts(&of, &person.name, &texts).await?
    };
    Ok(Json(Forgotten { forgotten }))
}

/// `POST /api/conversations/{spirit}/{session}/imprint/correct`
pub(super) async fn correct(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Corrected>, Problem> {
    let person = desk.admit(&headers, Right::TakeOver).await?;
    let (serving, of) = (desk.serving(&spirit)?, session(&of)?);
    let Correction { text, correct } = read(&headers, body).await?;
    let weave = serving.weave();
    let fact = weave.correct_fact(&of, &person.name, &text, &correct);
    let fact = fact.await.map_err(|error| match error {
        CorrectError::NoSuchFact => not_found(format!(
            "Nothing of these words is known of {of}: what is known may have changed since it was listed."
        )),
        CorrectError::Unsound(why) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "not-a-fact",
            "It cannot be kept as a fact",
            format!("{why}."),
        ),
        CorrectError::Store(error) => error.into(),
    })?;
    Ok(Json(Corrected { fact }))
}
