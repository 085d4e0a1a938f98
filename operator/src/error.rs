//! Why a reconcile did not finish. What a user got wrong is not an error: it becomes a condition.

use std::time::Duration;

/// A reconcile that could not finish and is tried again, sooner or later by its kind.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a call or could not be reached.
    #[error("{verb} {kind} {name}: {source}")]
    Api {
        /// What was tried: get, list, apply, delete, status, event.
        verb: &'static str,
        /// The kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object that the operator would have written belongs to someone else.
    #[error(
        "{kind} {name} exists and does not belong to {owner}: delete it or rename {owner}, so that the operator does not overwrite it"
    )]
    NotOurs {
        /// The kind of the object that is in the way.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The object that wants it, as `Kind name`.
        owner: String,
    },
    /// The reconcile took longer than it may.
    #[error("not finished after {} s: the API server or a Conduit is slow", .0.as_secs())]
    Timeout(Duration),
    /// An object from the API server lacked what every stored object has.
    #[error("{kind} without metadata.{field}: not an object of the API server")]
    Incomplete {
        /// The kind of the object.
        kind: &'static str,
        /// The missing field.
        field: &'static str,
    },
    /// An object could not be written as JSON.
    #[error("{kind} cannot be serialized: {source}")]
    Serialize {
        /// The kind of the object.
        kind: &'static str,
        /// The serializer's error.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// The value of the metric label `outcome`. One of a fixed few, so that the label stays small.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if status.code == 403 => "forbidden",
                kube::Error::Api(status) if status.code == 409 => "conflict",
                kube::Error::Api(_) => "refused",
                _ => "unreachable",
            },
            Self::NotOurs { .. } => "not_ours",
            Self::Timeout(_) => "timeout",
            Self::Incomplete { .. } => "incomplete",
            Self::Serialize { .. } => "serialize",
        }
    }

    /// The reason and message for a status, of an error that a person has to mend: it does not go away by itself.
    #[must_use]
    pub fn refusal(&self) -> Option<(&'static str, String)> {
        let reason = match self {
            Self::NotOurs { .. } => "NameTaken",
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if status.code == 403 => "Forbidden",
                kube::Error::Api(status) if status.code == 422 || status.code == 400 => {
                    "ChildRefused"
                }
                _ => return None,
            },
            _ => return None,
        };
        Some((reason, self.to_string()))
    }

    /// Wraps a client's error with what was tried; for `map_err`.
    pub fn api<'a>(
        verb: &'static str,
        kind: &'static str,
        name: &'a str,
    ) -> impl FnOnce(kube::Error) -> Self + 'a {
        move |source| Self::Api {
            verb,
            kind,
            name: name.to_owned(),
            source: Box::new(source),
        }
    }
}
