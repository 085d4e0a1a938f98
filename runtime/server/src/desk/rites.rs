//! Rites: what waits for a yes, and saying it.

use std::cmp::Reverse;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
};
use eywa_weave::{
    SessionKey, SpiritName,
    names::RiteId,
    ports::rite::{Rite, RiteOutcome, Standing, Verdict},
    weave::Decided,
};
use futures::future::try_join_all;
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Desk, access::Right, conflict, not_found, read, unreadable};
use crate::http::Problem;

/// The longest comment, in characters: as long as a Rite object takes.
const LONGEST_COMMENT: usize = 1024;

/// A Rite as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RiteView {
    spirit: SpiritName,
    id: RiteId,
    session: SessionKey,
    action: String,
    arguments: Value,
    phase: Standing,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<RiteOutcome>,
}

impl RiteView {
    /// What people may see of a Rite of this Spirit.
    pub(super) fn of(spirit: &SpiritName, rite: &Rite) -> Self {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let verdict = rite.verdict.as_ref();
        Self {
            spirit: spirit.clone(),
            id: rite.asked.id.clone(),
            session: rite.asked.session.clone(),
            action: rite.asked.call.name.clone(),
            arguments: rite.asked.shown_arguments(),
            phase: rite.standing,
            expires_at: rite.asked.expires_at,
            decided_at: verdict.map(|verdict| verdict.at),
            by: verdict.and_then(|verdict| some(&verdict.by)),
            comment: verdict.and_then(|verdict| some(&verdict.comment)),
            outcome: rite.outcome,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    spirit: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Listing {
    rites: Vec<RiteView>,
}

#[derive(Deserialize)]
struct Word {
    decision: Choice,
    #[serde(default)]
    comment: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Choice {
    Approved,
    Denied,
}

/// `GET /api/rites`: the newest first.
pub(super) async fn list(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Query(wish): Query<Wish>,
) -> Result<Json<Listing>, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let servings = desk.servings(wish.spirit.as_deref())?;
    let found = try_join_all(servings.iter().map(|serving| serving.weave().rites(None))).await?;
    let mut rites = Vec::new();
    for (serving, found) in servings.iter().zip(&found) {
        rites.extend(found.iter().map(|rite| (serving, rite)));
    }
    rites.sort_by_key(|(_, rite)| Reverse(rite.asked.asked_at));
    Ok(Json(Listing {
        rites: rites
            .into_iter()
            .map(|(serving, rite)| RiteView::of(serving.name(), rite))
            .collect(),
    }))
}

/// `POST /api/rites/{spirit}/{id}/decision`
pub(super) async fn decide(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, id)): Path<(String, String)>,
    body: Body,
) -> Result<Json<RiteView>, Problem> {
    let person = desk.admit(&headers, Right::Decide).await?;
    let serving = desk.serving(&spirit)?;
    let Word { decision, comment } = read(&headers, body).await?;
    if comment.chars().count() > LONGEST_COMMENT {
        return Err(unreadable(format!(
            "A comment has at most {LONGEST_COMMENT} characters."
        )));
    }
    let verdict = Verdict {
        approved: decision == Choice::Approved,
        by: person.name,
        comment,
        at: Timestamp::now(),
    };
    match serving
        .weave()
        .decide(&RiteId::from(id.as_str()), verdict)
        .await?
    {
        Decided::Counted(rite) | Decided::Repeated(rite) => {
            Ok(Json(RiteView::of(serving.name(), &rite)))
        }
        Decided::TooLate(rite) => {
            let by = rite.verdict.as_ref().map(|verdict| verdict.by.as_str());
            let phase = rite.standing.as_str();
            let detail = match by.filter(|by| !by.is_empty()) {
                Some(by) => format!("{by} has decided: it is {phase}."),
                None => format!("It can no longer be decided: it is {phase}."),
            };
            Err(
                conflict("It is decided already", detail, by.unwrap_or_default())
                    .with("phase", Value::from(phase)),
            )
        }
        Decided::Unknown => Err(not_found(format!("There is no Rite {id:?} of {spirit}."))),
    }
}
