//! Who somebody is, and what they may do.

#[cfg(feature = "vigil-kubernetes")]
mod kubernetes;
mod local;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;

#[cfg(feature = "vigil-kubernetes")]
pub use kubernetes::ClusterAccess;
pub use local::LocalAccess;

/// What somebody wants to do at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// See conversations, Rites and what was done with a Pulse.
    Read,
    /// Take conversations over, answer in them and give them back.
    TakeOver,
    /// Decide on Rites.
    Decide,
}

/// Whose word it is who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The Kubernetes API's.
    Cluster,
    /// That of the person at this machine.
    Local,
}

/// Somebody who was recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The name that everything they do is put down to.
    pub name: String,
    /// An id that does not change with the name, if there is one.
    pub uid: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<String>,
    /// What else the authority said of them.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why somebody was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token is nobody's.
    #[error("the token is not valid")]
    Unknown,
    /// The authority cannot be asked, so nobody is let in. The text is for the person.
    #[error("{0}")]
    Unavailable(String),
}

/// Says who somebody is and what they may do. When it cannot say, it does not say yes.
#[async_trait]
pub trait Access: Send + Sync {
    /// Whose word this is.
    fn mode(&self) -> Mode;

    /// Whose token this is.
    async fn person(&self, token: &str) -> Result<Person, Denied>;

    /// Whether they may.
    async fn may(&self, person: &Person, right: Right) -> Result<bool, Denied>;

    /// What a right is called by whoever grants it.
    fn permission(&self, right: Right) -> String;

    /// A token for a one-time code; `None` when the code is not valid, or was used.
    fn login(&self, code: &str) -> Option<String> {
        let _ = code;
        None
    }

    /// Whether a request may come under this name of the server. A page of another site, whose name was made to point
    /// here, comes under its own.
    fn answers_to(&self, host: &str) -> bool {
        let _ = host;
        true
    }
}
