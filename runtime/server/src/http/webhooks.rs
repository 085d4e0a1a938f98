//! `GET` and `POST /voices/{spirit}/{voice}`: what channels call.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use eywa_weave::{VoiceName, weave::Receipt};
use http::{StatusCode, header};

use super::{Problem, body, received};
use crate::roster::Roster;

/// Takes a webhook in. 200 only once every Pulse of it is in the Inbox.
pub(super) async fn take(
    State(roster): State<Roster>,
    Path((spirit, voice)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let serving = roster.get(&spirit).ok_or_else(Problem::unknown_address)?;
    let voice = VoiceName::from(voice);
    let limit = serving
        .voices
        .get(&voice)
        .ok_or_else(Problem::unknown_address)?
        .body_limit();
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, limit).await?;
    match received(&serving, voice, parts, body).await? {
        Receipt::Challenge(challenge) => {
            Ok(([(header::CONTENT_TYPE, "text/plain")], challenge).into_response())
        }
        Receipt::Accepted { .. } => Ok(StatusCode::OK.into_response()),
    }
}
