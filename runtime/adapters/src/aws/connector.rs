//! How the credential chain reaches what hands out credentials.
//!
//! The guarded client refuses link-local addresses, wherever a URL comes from. Two such addresses give a pod the
//! credentials of its own role, and only those: they are let through here, to this chain alone, and no manifest can name
//! them. The instance metadata service of a node is not among them: its credentials are the node's.

use std::time::Duration;

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use eywa_guard::{GuardedClient, RequestError};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

/// The agents of EKS Pod Identity and of ECS tasks.
///
/// Source: Amazon EKS User Guide, "Learn how EKS Pod Identity grants pods access to AWS services"; Amazon ECS Developer
/// Guide, "Amazon ECS task IAM role".
const AGENTS: [&str; 3] = ["169.254.170.23", "[fd00:ec2::23]", "169.254.170.2"];

/// The most bytes that are read of an answer; credentials are far shorter.
const LONGEST_ANSWER: usize = 256 * 1024;

/// How long one request may take; the chain has its own ceiling over all of them.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long an agent may take to be reached: it is on the same node, or it is not there.
const NEARBY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Connector {
    guarded: GuardedClient,
    /// To the agents, and nowhere else.
    agents: Option<reqwest::Client>,
}

impl Connector {
    pub(super) fn new(guarded: GuardedClient) -> Self {
        // Without certificates: the agents speak plain http.
        let agents = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .connect_timeout(NEARBY)
            .timeout(TIMEOUT)
            .build()
            .ok();
        Self { guarded, agents }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let url = Url::parse(request.uri()).map_err(|error| ConnectorError::user(error.into()))?;
        let method = Method::from_bytes(request.method().as_bytes())
            .map_err(|error| ConnectorError::user(error.into()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| ConnectorError::user(error.into()))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|error| ConnectorError::user(error.into()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let body = request.body().bytes().unwrap_or_default().to_vec();
        match self.agents.filter(|_| is_agent(&url)) {
            Some(agents) => {
                let response = agents
                    .request(method, url)
                    .headers(headers)
                    .body(body)
                    .send()
                    .await
                    .map_err(|error| unreached(error.without_url()))?;
                let (status, headers) = (response.status(), response.headers().clone());
                let body = read(response).await?;
                answer(status.as_u16(), &headers, body)
            }
            None => {
                let response = self
                    .guarded
                    .request(method, url)
                    .headers(&headers)
                    .body(body)
                    .timeout(TIMEOUT)
                    .send()
                    .await
                    .map_err(refused)?;
                let (status, headers) = (response.status(), response.headers().clone());
                let body = response.bytes(LONGEST_ANSWER).await.map_err(refused)?;
                answer(status.as_u16(), &headers, body.to_vec())
            }
        }
    }
}

/// Whether a URL is one of the agents', by address and plain http: no name can stand for them.
fn is_agent(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(|host| AGENTS.contains(&host))
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, ConnectorError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreached)? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(ConnectorError::other("the answer is too long".into(), None));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn answer(status: u16, headers: &HeaderMap, body: Vec<u8>) -> Result<HttpResponse, ConnectorError> {
    let status = status
        .try_into()
        .map_err(|_| ConnectorError::other("the status is none".into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            response
                .headers_mut()
                .append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

fn unreached(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

fn refused(error: RequestError) -> ConnectorError {
    match error {
        RequestError::TimedOut { .. } => ConnectorError::timeout(error.into()),
        RequestError::Connect { .. } | RequestError::BrokenOff { .. } => {
            ConnectorError::io(error.into())
        }
        // Asking again would be refused again.
        _ => ConnectorError::user(error.into()),
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_of_pods_and_tasks_are_reached_beside_the_guard() {
        for (url, let_through) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://169.254.170.2/v2/credentials/abc", true),
            ("http://169.254.169.254/latest/meta-data/", false),
            ("http://[fd00:ec2::254]/latest/meta-data/", false),
            ("http://169.254.170.23.example/", false),
            ("https://169.254.170.23/", false),
            ("https://sts.eu-west-1.amazonaws.com/", false),
        ] {
            assert_eq!(is_agent(&Url::parse(url).unwrap()), let_through, "{url}");
        }
    }
}
