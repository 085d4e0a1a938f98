//! Files that came with messages.

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use eywa_weave::{EchoBody, ports::voice::FetchError, pulse::Attachment};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use super::{Desk, access::Right, not_found, session};
use crate::http::Problem;

/// How far back a message is looked for.
const MOST_LOOKED_AT: usize = 1000;
/// What a browser may show. Everything else is only saved: a page or a drawing may hold a script.
const SHOWN: [&str; 12] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/aac",
    "audio/amr",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "video/3gpp",
    "video/mp4",
];
/// What is said to be what it is, and saved.
const SAVED: [&str; 2] = ["application/pdf", "text/plain"];

/// `GET /api/conversations/{spirit}/{session}/attachments/{echo}/{index}`
pub(super) async fn get(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Path((spirit, of, echo, index)): Path<(String, String, String, usize)>,
) -> Result<Response, Problem> {
    desk.admit(&headers, Right::Read).await?;
    let (serving, of) = (desk.serving(&spirit)?, session(&of)?);
    let echoes = serving.stores.echoes.recent(&of, MOST_LOOKED_AT).await?;
    let attachment = echoes
        .iter()
        .rev()
        .find(|known| known.id == echo)
        .and_then(|echo| match &echo.body {
            EchoBody::User { attachments, .. } => attachments.get(index),
            _ => None,
        })
        .ok_or_else(|| not_found("This message has no such file.".to_owned()))?;
    let media = serving.weave().attachment(&of, attachment).await?;
    // A copy, once: a file is at most as long as its voice takes.
    let mut response = Response::new(Body::from(media.bytes.to_vec()));
    let headers = response.headers_mut();
    let (media_type, disposition) = presentation(&media.media_type);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::try_from(named(disposition, attachment)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    // Opened by itself it may do nothing at all.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=3600"),
    );
    Ok(response)
}

/// The media type to say, out of a list of harmless ones, and whether it is shown or saved.
fn presentation(media_type: &str) -> (&'static str, &'static str) {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let among = |types: &[&'static str]| {
        types
            .iter()
            .find(|known| known.eq_ignore_ascii_case(essence))
            .copied()
    };
    match (among(&SHOWN), among(&SAVED)) {
        (Some(shown), _) => (shown, "inline"),
        (None, Some(saved)) => (saved, "attachment"),
        (None, None) => ("application/octet-stream", "attachment"),
    }
}

/// The name as RFC 6266 writes it, with nothing in it that could end the header.
fn named(disposition: &str, attachment: &Attachment) -> String {
    let name = attachment.file_name.as_deref().unwrap_or("file");
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes().take(200) {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{disposition}; filename*=UTF-8''{encoded}")
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let status = match &error {
            FetchError::Gone | FetchError::Unsupported => StatusCode::NOT_FOUND,
            FetchError::TooLarge { .. } | FetchError::NotAllowed { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(
            status,
            "no-file",
            "The file cannot be had",
            error.to_string(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hold_a_script_is_saved_and_not_shown() {
        assert_eq!(presentation("image/jpeg"), ("image/jpeg", "inline"));
        assert_eq!(
            presentation("audio/ogg; codecs=opus"),
            ("audio/ogg", "inline")
        );
        assert_eq!(
            presentation("application/pdf"),
            ("application/pdf", "attachment")
        );
        for risky in [
            "text/html",
            "image/svg+xml",
            "",
            "application/xhtml+xml",
            "image/png\r\nx: y",
        ] {
            assert_eq!(
                presentation(risky),
                ("application/octet-stream", "attachment"),
                "{risky}"
            );
        }
    }

    #[test]
    fn a_file_s_name_cannot_end_the_header() {
        let attachment = Attachment {
            id: "m1".into(),
            media_type: "image/png".into(),
            file_name: Some("a\"\r\nb ü.png".into()),
            ..Attachment::default()
        };
        assert_eq!(
            named("inline", &attachment),
            "inline; filename*=UTF-8''a%22%0D%0Ab%20%C3%BC.png"
        );
    }
}
