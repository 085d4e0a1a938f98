//! Bedrock in one region: its address, and how a request proves who sends it.

use std::time::SystemTime;

use eywa_guard::{GuardedClient, GuardedRequest};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString};
use url::{Url, form_urlencoded};

use super::{AwsCredentials, NoCredentials, Signing, sign};

/// The service's name in signatures.
const SERVICE: &str = "bedrock";

pub(crate) const JSON: &str = "application/json";

/// What a request to Bedrock proves itself with.
#[derive(Clone, Debug)]
pub enum BedrockAuth {
    /// A Bedrock API key, sent as a bearer token.
    ApiKey(SecretString),
    /// A signature.
    Signature(AwsCredentials),
}

/// Bedrock in one region.
#[derive(Clone, Debug)]
pub struct BedrockSite {
    /// Where it answers, without a path but a gateway's.
    pub base_url: Url,
    /// The region, which is part of every signature.
    pub region: String,
    /// What requests prove themselves with.
    pub auth: BedrockAuth,
}

impl BedrockSite {
    /// A request for `operation` on `model`, which is an id or an ARN.
    ///
    /// # Errors
    /// When there is nothing to prove it with.
    pub(crate) async fn request<'c>(
        &self,
        client: &'c GuardedClient,
        model: &str,
        operation: &str,
        accept: &'static str,
        body: Vec<u8>,
    ) -> Result<GuardedRequest<'c>, NoCredentials> {
        let url = self.url(model, operation);
        let mut headers = self.proof(&url, &body).await?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Ok(client
            .request(Method::POST, url)
            .headers(&headers)
            .body(body))
    }

    /// What was signed with is no good any more, says the service.
    pub(crate) fn forget(&self) {
        if let BedrockAuth::Signature(credentials) = &self.auth {
            credentials.forget();
        }
    }

    fn url(&self, model: &str, operation: &str) -> Url {
        let mut url = self.base_url.clone();
        // All of an ARN, its slashes too, is one segment of the path.
        let model: String = form_urlencoded::byte_serialize(model.as_bytes()).collect();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/model/{model}/{operation}"));
        url
    }

    async fn proof(&self, url: &Url, body: &[u8]) -> Result<HeaderMap, NoCredentials> {
        match &self.auth {
            BedrockAuth::ApiKey(key) => {
                let value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()));
                let mut value = value.map_err(|_| NoCredentials {
                    may_pass: false,
                    message:
                        "the API key holds characters that a header cannot; look at its Secret"
                            .to_owned(),
                })?;
                value.set_sensitive(true);
                Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
            }
            BedrockAuth::Signature(credentials) => {
                let credentials = credentials.get().await?;
                let signing = Signing {
                    region: &self.region,
                    service: SERVICE,
                    at: SystemTime::now(),
                };
                let typed = [(CONTENT_TYPE.as_str(), JSON)];
                sign(signing, &credentials, url, &typed, body).map_err(|reason| NoCredentials {
                    may_pass: false,
                    message: format!("the request cannot be signed: {reason}"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_one_segment_of_the_path() {
        let site = BedrockSite {
            base_url: Url::parse("https://gateway.example/aws/").unwrap(),
            region: "eu-west-1".to_owned(),
            auth: BedrockAuth::ApiKey(SecretString::from("fake")),
        };
        assert_eq!(
            site.url(
                "arn:aws:bedrock:eu-west-1:1:inference-profile/a.b-v1:0",
                "converse"
            )
            .as_str(),
            "https://gateway.example/aws/model/\
             arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fa.b-v1%3A0/converse"
        );
    }
}
