//! What was said in one conversation.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use eywa_weave::{
    Echo, EchoBody, SessionKey, StoreError,
    ports::{echoes::Stretch, rite::Rite},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Desk,
    access::Right,
    conversation::{Conversation, current},
    rites::RiteView,
    session, unreadable,
};
use crate::{http::Problem, serving::Serving};

/// How many Echoes one answer holds, unless it is asked for fewer or more.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 200;

#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    before: Option<String>,
    limit: Option<usize>,
}

impl Wish {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
    }
}

#[derive(Serialize)]
pub(super) struct Transcript {
    conversation: Conversation,
    #[serde(flatten)]
    page: Page,
    rites: Vec<RiteView>,
}

#[derive(Serialize)]
pub(super) struct Page {
    echoes: Vec<Echo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older: Option<String>,
}

impl Page {
    fn of(stretch: Stretch, rites: &[Rite]) -> Self {
        Self {
            echoes: shown(stretch.echoes, rites),
            older: stretch.older.map(|older| older.to_string()),
        }
    }
}

/// The Echoes as people may see them: what a Rite does not show of a call's arguments, the call does not show either.
pub(super) fn shown(mut echoes: Vec<Echo>, rites: &[Rite]) -> Vec<Echo> {
    echoes.retain(|echo| !matches!(echo.body, EchoBody::Newer));
    let redacted: HashMap<&str, Value> = rites
        .iter()
        .filter(|rite| !rite.asked.redact.is_empty())
        .map(|rite| (rite.asked.call.id.as_str(), rite.asked.shown_arguments()))
        .collect();
    for echo in &mut echoes {
        if let EchoBody::Agent { calls, .. } = &mut echo.body {
            for call in calls {
                if let Some(arguments) = redacted.get(call.id.as_str()) {
                    call.arguments = arguments.clone();
                }
            }
        }
    }
    echoes
}

/// `GET /api/conversations/{spirit}/{session}`
pub(super) async fn show(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of)): Path<(String, String)>,
    Query(wish): Query<Wish>,
) -> Result<Json<Transcript>, Problem> {
    let (serving, of) = opened(&desk, &headers, &spirit, &of).await?;
    desk.0.feeds.looked_at(serving.name(), &of);
    let (conversation, stretch, rites) = tokio::try_join!(
        current(&serving, &of),
        serving.stores.echoes.stretch(&of, None, wish.limit()),
        serving.weave().rites(Some(&of)),
    )?;
    let page = Page::of(stretch, &rites);
    let rites = rites
        .iter()
        .map(|rite| RiteView::of(serving.name(), rite))
        .collect();
    Ok(Json(Transcript {
        conversation,
        page,
        rites,
    }))
}

/// `GET /api/conversations/{spirit}/{session}/echoes`
pub(super) async fn older(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of)): Path<(String, String)>,
    Query(wish): Query<Wish>,
) -> Result<Json<Page>, Problem> {
    let (serving, of) = opened(&desk, &headers, &spirit, &of).await?;
    let before = match wish.before.as_deref().filter(|before| !before.is_empty()) {
        Some(before) => Some(before.parse().map_err(|_| {
            unreadable("`before` is the `older` of an answer before this one.".to_owned())
        })?),
        None => None,
    };
    let page: Result<_, StoreError> = async {
        let (stretch, rites) = tokio::try_join!(
            serving.stores.echoes.stretch(&of, before, wish.limit()),
            serving.weave().rites(Some(&of)),
        )?;
        Ok(Page::of(stretch, &rites))
    }
    .await;
    Ok(Json(page?))
}

async fn opened(
    desk: &Desk,
    headers: &HeaderMap,
    spirit: &str,
    of: &str,
) -> Result<(Arc<Serving>, SessionKey), Problem> {
    desk.admit(headers, Right::Read).await?;
    Ok((desk.serving(spirit)?, session(of)?))
}
