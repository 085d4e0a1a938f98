//! What adapters of Google Cloud share: access tokens, requests to REST interfaces, and the check of identity tokens.
//!
//! They come from Google's own library, which keeps them and fetches the next in the background, minutes before one
//! expires. It reaches the metadata server by itself, past the guarded client, which refuses link-local addresses
//! wherever a URL comes from. That is safe because no manifest can name where it goes: the library's address is fixed, and
//! the only key that a manifest brings in is a service account's, of which no URL is followed.

#[cfg(feature = "inbox-tasks")]
mod id_token;
#[cfg(feature = "google-rest")]
#[cfg_attr(
    not(all(feature = "attachments-storage", feature = "inbox-tasks")),
    allow(
        dead_code,
        reason = "one adapter alone does not use all that they share"
    )
)]
pub(crate) mod rest;
mod vertex;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use eywa_weave::ports::oracle::Fault;
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder,
    service_account::{self, AccessSpecifier},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

#[cfg(feature = "inbox-tasks")]
pub use self::id_token::{GOOGLE_KEYS, IdTokens, NotGoogle};
pub use self::vertex::VertexSite;

/// What tokens are good for; what the service account may do is decided by its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long a token may take that is not there yet.
const CEILING: Duration = Duration::from_secs(15);

/// The most that is kept of what the library said.
const LONGEST_REASON: usize = 300;

/// There is no access token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NoToken {
    /// Whether asking again soon may help.
    pub may_pass: bool,
    /// Why, and what to do.
    pub message: String,
}

impl NoToken {
    /// Its class.
    pub(crate) fn fault(&self) -> Fault {
        if self.may_pass {
            Fault::TimedOut
        } else {
            Fault::Unauthorized
        }
    }

    fn lasting(message: impl Into<String>) -> Self {
        Self {
            may_pass: false,
            message: message.into(),
        }
    }
}

/// Access tokens of one identity. Cheap to clone; clones share what was fetched.
#[derive(Clone)]
pub struct GoogleTokens(Arc<Shared>);

struct Shared {
    identity: Identity,
    /// Built at the first use, since its background task needs a runtime; and again once it has given up for good.
    credentials: Mutex<Option<AccessTokenCredentials>>,
}

enum Identity {
    /// Application Default Credentials: Workload Identity by the metadata server, or what the environment names.
    OfThePod,
    /// A service account's key.
    Key(SecretString),
    #[cfg(test)]
    MetadataServerAt(String),
}

impl GoogleTokens {
    /// The pod's own identity, by Application Default Credentials.
    #[must_use]
    pub fn of_the_pod() -> Self {
        Self::of(Identity::OfThePod)
    }

    /// A service account's, by its key in JSON. Tokens are signed here, and none is exchanged: Google's services take
    /// self-signed tokens (AIP-4111).
    ///
    /// # Errors
    /// When it is no such key. It is not quoted.
    pub fn of_key(key: &SecretString) -> Result<Self, NoToken> {
        let parsed: Value = serde_json::from_str(key.expose_secret()).map_err(|error| {
            NoToken::lasting(format!(
                "the Google credentials are no JSON (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        let text = |name: &str| parsed.get(name).and_then(Value::as_str);
        // Other kinds name addresses to fetch tokens from.
        if text("type") != Some("service_account") {
            return Err(NoToken::lasting(
                "the Google credentials are no service account's key: their type must be service_account",
            ));
        }
        for field in [
            "client_email",
            "private_key_id",
            "private_key",
            "project_id",
        ] {
            if text(field).is_none_or(str::is_empty) {
                return Err(NoToken::lasting(format!(
                    "the service account's key has no {field}"
                )));
            }
        }
        Ok(Self::of(Identity::Key(key.clone())))
    }

    #[cfg(test)]
    pub(crate) fn of_metadata_server_at(endpoint: impl Into<String>) -> Self {
        Self::of(Identity::MetadataServerAt(endpoint.into()))
    }

    fn of(identity: Identity) -> Self {
        Self(Arc::new(Shared {
            identity,
            credentials: Mutex::new(None),
        }))
    }

    /// A token that is still good.
    ///
    /// # Errors
    /// [`NoToken`].
    pub(crate) async fn token(&self) -> Result<SecretString, NoToken> {
        let credentials = self.credentials()?;
        match tokio::time::timeout(CEILING, credentials.access_token()).await {
            Ok(Ok(token)) => Ok(SecretString::from(token.token)),
            Ok(Err(error)) => {
                if !error.is_transient() {
                    // Its background task has ended and would give this error for ever.
                    *self.kept() = None;
                }
                Err(self.explain(error.is_transient(), &error.to_string()))
            }
            Err(_) => Err(self.explain(true, "it took too long")),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<AccessTokenCredentials>> {
        self.0
            .credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn credentials(&self) -> Result<AccessTokenCredentials, NoToken> {
        let mut kept = self.kept();
        if let Some(credentials) = kept.as_ref() {
            return Ok(credentials.clone());
        }
        let built = match &self.0.identity {
            Identity::OfThePod => Builder::default()
                .with_scopes([SCOPE])
                .build_access_token_credentials(),
            Identity::Key(key) => {
                let key = serde_json::from_str(key.expose_secret()).unwrap_or_default();
                service_account::Builder::new(key)
                    .with_access_specifier(AccessSpecifier::from_scopes([SCOPE]))
                    .build_access_token_credentials()
            }
            #[cfg(test)]
            Identity::MetadataServerAt(endpoint) => {
                google_cloud_auth::credentials::mds::Builder::default()
                    .with_endpoint(endpoint.clone())
                    .with_scopes([SCOPE])
                    .build_access_token_credentials()
            }
        };
        let credentials = built.map_err(|error| self.explain(false, &error.to_string()))?;
        Ok(kept.insert(credentials).clone())
    }

    fn explain(&self, may_pass: bool, reason: &str) -> NoToken {
        let message = match &self.0.identity {
            // What the library says of a key may quote it.
            Identity::Key(_) => {
                "no token could be signed: is the service account's key whole?".to_owned()
            }
            _ => {
                let reason: String = reason.chars().take(LONGEST_REASON).collect();
                format!(
                    "there is no Google access token: name a service account's key in credentials, or give the pods \
                     an identity by runtime.serviceAccountAnnotations ({reason})"
                )
            }
        };
        NoToken { may_pass, message }
    }
}

impl fmt::Debug for GoogleTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.identity {
            Identity::Key(_) => "GoogleTokens(of a key)",
            _ => "GoogleTokens(of the pod)",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
