//! The page's files, as `runtime/server/desk` builds them, in the binary.

use std::sync::LazyLock;

use axum::{Router, routing::get};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use sha2::{Digest as _, Sha256};

struct File {
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($path:literal, $file:literal, $media_type:literal) => {
        File {
            path: $path,
            media_type: $media_type,
            content: include_bytes!(concat!("../../desk/dist/", $file)),
        }
    };
}

static FILES: [File; 5] = [
    file!("/", "index.html", "text/html; charset=utf-8"),
    file!(
        "/assets/desk.js",
        "assets/desk.js",
        "text/javascript; charset=utf-8"
    ),
    file!(
        "/assets/desk.css",
        "assets/desk.css",
        "text/css; charset=utf-8"
    ),
    file!("/assets/icon.svg", "assets/icon.svg", "image/svg+xml"),
    file!(
        "/assets/licenses.txt",
        "assets/licenses.txt",
        "text/plain; charset=utf-8"
    ),
];

/// By the content, in the order of [`FILES`].
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| FILES.iter().map(tag).collect());

fn tag(file: &File) -> HeaderValue {
    let digest = Sha256::digest(file.content);
    let hex: String = digest[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The page's routes, without state and without a login: there is nothing in it but the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES
        .iter()
        .enumerate()
        .fold(Router::new(), |routes, (index, file)| {
            routes.route(
                file.path,
                get(move |headers: HeaderMap| async move { serve(index, &headers) }),
            )
        })
}

/// A browser asks each time whether its copy is still good: a new release is seen at once.
fn serve(index: usize, asked: &HeaderMap) -> (StatusCode, HeaderMap, &'static [u8]) {
    let (file, tag) = (&FILES[index], &TAGS[index]);
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, tag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if asked.get(IF_NONE_MATCH) == Some(tag) {
        return (StatusCode::NOT_MODIFIED, headers, b"");
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    (StatusCode::OK, headers, file.content)
}
