//! What a Spirit may find out and do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SecretFile, SecretHeader};
use crate::{
    duration::Duration,
    spirit::{Header, HttpMethod},
};

/// A step that fetches context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledScout {
    /// Its name.
    pub name: String,
    /// Where it looks.
    pub source: ScoutSource,
    /// How long it may take.
    pub timeout: Duration,
    /// A checked [`When`](crate::expression::When).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub when: Option<String>,
}

impl CompiledScout {
    pub(super) fn secret_files(&self) -> impl Iterator<Item = &SecretFile> {
        let headers = match &self.source {
            ScoutSource::Http(http) => http.headers_from.as_slice(),
            ScoutSource::Text(_) => &[],
        };
        headers.iter().map(|header| &header.value)
    }
}

/// Where a Scout looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScoutSource {
    /// Over HTTP.
    Http(CompiledHttpScout),
    /// Nowhere: it is this, a checked [`Template`](crate::template::Template) with
    /// [`PERSONA`](crate::template::Vocabulary::PERSONA).
    Text(String),
}

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledHttpScout {
    /// A checked [`UrlTemplate`](crate::template::UrlTemplate) with [`SCOUT_URL`](crate::template::Vocabulary::SCOUT_URL).
    pub url: String,
    /// Headers whose values are checked [`HeaderTemplate`](crate::template::HeaderTemplate)s with the same vocabulary.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<Header>,
    /// Headers whose values are kept in Secrets.
    pub headers_from: Vec<SecretHeader>,
    /// What is taken of the response: checked JSON pointers by label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub pick: BTreeMap<String, String>,
    /// How long a response is good for every request that is the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cache: Option<Duration>,
}

/// An HTTP tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompiledAction {
    /// Its name.
    pub name: String,
    /// What the Oracle is told of it.
    pub description: String,
    /// A checked JSON Schema of its arguments.
    pub parameters: Map<String, Value>,
    /// The method.
    pub method: HttpMethod,
    /// A checked [`UrlTemplate`](crate::template::UrlTemplate) with
    /// [`ACTION_URL`](crate::template::Vocabulary::ACTION_URL).
    pub url: String,
    /// What is written into the query, in the place of the arguments: a checked
    /// [`JsonTemplate`](crate::template::JsonTemplate) with the same vocabulary.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<Map<String, Value>>,
    /// The body, in the place of the arguments: the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<Map<String, Value>>,
    /// Headers whose values are checked [`HeaderTemplate`](crate::template::HeaderTemplate)s with the same vocabulary.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<Header>,
    /// Headers whose values are kept in Secrets.
    pub headers_from: Vec<SecretHeader>,
    /// What is taken of the response: checked JSON pointers by label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub pick: BTreeMap<String, String>,
    /// The most bytes of a response.
    pub max_response: u32,
    /// The header that carries the idempotency key; none is sent without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idempotency_key: Option<String>,
    /// How often the request is made again.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub retries: u32,
    /// How long it may take, all tries together.
    pub timeout: Duration,
}

impl CompiledAction {
    pub(super) fn secret_files(&self) -> impl Iterator<Item = &SecretFile> {
        self.headers_from.iter().map(|header| &header.value)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
