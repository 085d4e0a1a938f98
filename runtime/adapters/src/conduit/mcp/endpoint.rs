//! Where an MCP server is, and what it wants to see with every request.

use std::{fmt, sync::Arc};

use url::Url;

use crate::headers::SecretHeaders;

type Read = dyn Fn() -> Result<SecretHeaders, String> + Send + Sync;

/// Where an MCP server is, and what it wants to see with every request.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    headers: Arc<Read>,
}

impl Endpoint {
    /// The server whose MCP endpoint is `url`, with headers that stay the same.
    #[must_use]
    pub fn new(url: Url, headers: SecretHeaders) -> Self {
        Self::reading(url, move || Ok(headers.clone()))
    }

    /// The server whose MCP endpoint is `url`. Its headers are read for each session, and when the server refuses the
    /// ones that it was shown: a mounted Secret may have been rotated. `headers` is to be quick; its error says what is
    /// wrong and holds no value.
    #[must_use]
    pub fn reading(
        url: Url,
        headers: impl Fn() -> Result<SecretHeaders, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            url,
            headers: Arc::new(headers),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn headers(&self) -> Result<SecretHeaders, String> {
        (self.headers)()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}
