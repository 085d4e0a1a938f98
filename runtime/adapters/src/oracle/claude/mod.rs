//! Claude's format, the Messages API's: at Anthropic, and with another address and other credentials at other clouds.
//!
//! Source: Anthropic, API reference, "Messages"; "Streaming messages"; "Errors"; "Prompt caching"; "Vision"; "PDF support".

mod answer;
mod errors;
mod request;
mod stream;
#[cfg(test)]
#[cfg(feature = "oracle-anthropic")]
mod tests;

use eywa_guard::GuardedRequest;
use eywa_weave::ports::oracle::{OnText, OracleError, Question, Reply};

use self::{request::Body, stream::Hearing};
use super::wire::{Wire, files::Limits, is_stream};

/// What Claude takes. An image may have 5 MB as base64, a request 32 MB, and beyond 20 images they have to be smaller.
pub(super) const LIMITS: Limits = Limits {
    images: &["image/jpeg", "image/png", "image/gif", "image/webp"],
    pdf: true,
    largest_image: 3_750_000,
    largest_pdf: 20_000_000,
    most: 20,
    all: 22_000_000,
};

/// How one service is asked for a Claude model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec<'a> {
    /// The model, where the body names it.
    pub(super) model: Option<&'a str>,
    /// `anthropic_version`, where the body and not a header has it.
    pub(super) version: Option<&'static str>,
    /// Whether the beginning of the request is marked to be cached.
    pub(super) cache: bool,
    /// Which attachments are sent.
    pub(super) limits: &'a Limits,
}

/// Asks once: `request` has address and credentials, and gets its body here.
pub(super) async fn ask(
    wire: Wire,
    request: GuardedRequest<'_>,
    spec: Spec<'_>,
    question: &Question<'_>,
    on_text: Option<OnText<'_>>,
) -> Result<Reply, OracleError> {
    let body = Body::of(question, spec, on_text.is_some());
    let response = wire.send(request.json(&body)).await?;
    if !response.status().is_success() {
        return Err(wire.fail(response, question, errors::of_status).await);
    }
    let request_id = wire.request_id(response.headers());
    let mut reply = match on_text {
        Some(mut on_text) if is_stream(response.headers()) => {
            let mut hearing = Hearing::new(wire);
            wire.events(response, |data| hearing.hear(data, question, &mut on_text))
                .await?;
            hearing.reply(question)?
        }
        _ => answer::read(wire, &wire.read(response).await?, question)?,
    };
    reply.request_id = request_id.or(reply.request_id);
    Ok(reply)
}
