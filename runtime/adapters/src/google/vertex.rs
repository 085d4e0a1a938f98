//! Where a project's models are on Vertex AI.

use url::Url;

/// A project and a location on Vertex AI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VertexSite {
    /// Where the service answers, without a path but a gateway's.
    pub base_url: Url,
    /// The project's id.
    pub project: String,
    /// A region (`europe-west1`), a group of regions (`eu`, `us`), or `global`.
    pub location: String,
}

impl VertexSite {
    /// The URL of a publisher's models.
    pub(crate) fn models(&self, publisher: &str) -> Url {
        let mut url = self.base_url.clone();
        // A URL that cannot have a path is refused by the client, with the reason.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["v1", "projects", &self.project])
                .extend(["locations", &self.location])
                .extend(["publishers", publisher, "models"]);
        }
        url
    }
}
