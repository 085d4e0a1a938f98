//! What concerns one Spirit is for its own desk to answer.

use axum::{
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use eywa_runtime::http::Problem;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    Front, LARGEST_BODY,
    pods::{problem, unreachable},
};

/// The most bytes of an answer: files of messages are the largest.
const LARGEST: usize = 128 * 1024 * 1024;

/// What of a request is passed on.
const ASKED: [HeaderName; 3] = [header::ACCEPT, header::CONTENT_TYPE, header::IF_NONE_MATCH];
/// What of an answer is passed on.
const ANSWERED: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_SECURITY_POLICY,
    header::CACHE_CONTROL,
    header::ETAG,
    header::RETRY_AFTER,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
];

pub(super) async fn relay(
    State(front): State<Front>,
    Path((_, spirit, _)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let desk = front
        .pods
        .desk(&spirit)
        .await
        .map_err(|error| unreachable(&error))?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| Problem::too_large(LARGEST_BODY))?;
    // As it came: a session's slash is encoded, and stays so.
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let asked = only(&parts.headers, &ASKED);
    let answer = desk
        .relay(parts.method, path, &asked, body.to_vec())
        .await
        .map_err(problem)?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        // The page would take it for its own session's end.
        return Err(unreachable(&anyhow::anyhow!(
            "the cluster does not vouch for your kubeconfig's token any more; start `eywa desk` again"
        )));
    }
    let (status, headers) = (answer.status(), only(answer.headers(), &ANSWERED));
    let body = Body::from_stream(answer.stream(LARGEST));
    Ok((status, headers, body).into_response())
}

fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap<HeaderValue> {
    names
        .iter()
        .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
        .collect()
}
