//! Google's generateContent, the format of Gemini models: at the Gemini API, and with another address and other
//! credentials at Vertex AI.
//!
//! Source: Google, Gemini API reference, "Generating content"; "Function calling"; "Thought signatures".

mod errors;
mod reply;
mod request;
#[cfg(test)]
#[cfg(feature = "oracle-gemini")]
mod tests;

use eywa_guard::GuardedRequest;
use eywa_weave::ports::oracle::{OnText, OracleError, Question, Reply};
use url::Url;

use self::{reply::Hearing, request::Body};
use super::wire::{Wire, files::Limits, is_stream};

/// What fits into one request, whose body may have 20 MB in all, attachments in base64 included.
///
/// Source: Gemini API, "Image understanding" and "Document understanding".
pub(super) const LIMITS: Limits = Limits {
    images: &[
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/heic",
        "image/heif",
    ],
    pdf: true,
    largest_image: 7 * 1024 * 1024,
    largest_pdf: 13 * 1024 * 1024,
    most: 16,
    all: 13 * 1024 * 1024,
};

/// Where the two services that speak this format differ.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Whose errors and answers these are.
    pub(super) wire: Wire,
    /// Whether calls and their results carry ids. Without them they belong together by their order.
    pub(super) call_ids: bool,
}

/// Where `model` is asked, below `collection` unless its name says another (`tunedModels/…`).
pub(super) fn url(base_url: &Url, collection: &[&str], model: &str, stream: bool) -> Url {
    let method = if stream {
        "streamGenerateContent"
    } else {
        "generateContent"
    };
    let mut url = base_url.clone();
    // A URL that cannot have a path is refused by the client, with the reason.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
        if !model.contains('/') {
            path.extend(collection);
        }
        path.extend(format!("{model}:{method}").split('/'));
    }
    if stream {
        url.query_pairs_mut().append_pair("alt", "sse");
    }
    url
}

/// Asks by `request`, whose URL and credentials are set.
pub(super) async fn ask(
    dialect: Dialect,
    request: GuardedRequest<'_>,
    model: &str,
    limits: &Limits,
    question: &Question<'_>,
    on_text: Option<OnText<'_>>,
) -> Result<Reply, OracleError> {
    let wire = dialect.wire;
    let body = Body::of(question, model, limits, dialect.call_ids);
    let response = wire.send(request.json(&body)).await?;
    if !response.status().is_success() {
        return Err(wire.fail(response, question, errors::classify).await);
    }
    let mut hearing = Hearing::default();
    match on_text {
        Some(on_text) if is_stream(response.headers()) => {
            let heard = |data: &str| {
                hearing.hear(wire, data.as_bytes(), question, &mut *on_text)?;
                Ok(false)
            };
            wire.events(response, heard).await?;
        }
        _ => {
            let body = wire.read(response).await?;
            hearing.hear(wire, &body, question, &mut |_| {})?;
        }
    }
    hearing.reply(wire, question)
}
