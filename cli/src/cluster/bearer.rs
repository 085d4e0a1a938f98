//! The bearer token of the caller: what the kubeconfig's user would show to the Kubernetes API.

use anyhow::{Context as _, Result, anyhow};
use http::header::AUTHORIZATION;
use kube::{
    Config,
    client::{Body, ConfigExt as _},
};
use secrecy::SecretString;
use tower::{BoxError, Layer as _, ServiceExt as _, util::BoxCloneSyncService};

/// Where a bearer token comes from.
#[derive(Clone)]
pub(crate) enum Bearer {
    /// It is this one.
    Fixed(SecretString),
    /// The kubeconfig's user has it: as a token, in a file, or from a plugin. It is renewed when it ends.
    User(Shown),
}

/// Gives requests back as they would be sent: in the headers of the answer.
type Shown = BoxCloneSyncService<http::Request<Body>, http::Response<()>, BoxError>;

impl Bearer {
    /// The kubeconfig's user's, if the user has something else than a certificate.
    pub(super) fn of(config: &Config) -> Result<Option<Self>> {
        let layer = config
            .auth_layer()
            .context("the kubeconfig's user gives no credentials")?;
        // kube writes the header into requests and shows it to nobody else; so it is given a request to write it into.
        let shown = tower::service_fn(|request: http::Request<Body>| {
            let mut response = http::Response::new(());
            *response.headers_mut() = request.headers().clone();
            std::future::ready(Ok::<_, BoxError>(response))
        });
        Ok(layer.map(|layer| Self::User(Shown::new(layer.layer(shown)))))
    }

    /// The token; none when the user goes by a password.
    pub(crate) async fn token(&self) -> Result<Option<SecretString>> {
        let service = match self {
            Self::Fixed(token) => return Ok(Some(token.clone())),
            Self::User(service) => service.clone(),
        };
        let shown = service
            .oneshot(http::Request::new(Body::empty()))
            .await
            .map_err(|error| anyhow!("the kubeconfig's user gives no credentials: {error}"))?;
        let header = shown.headers().get(AUTHORIZATION);
        let value = header.and_then(|value| value.to_str().ok());
        Ok(value
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(|token| SecretString::from(token.trim())))
    }
}
