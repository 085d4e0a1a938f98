//! Signature Version 4.
//!
//! Source: AWS Identity and Access Management User Guide, "AWS Signature Version 4 for API requests". The computation is
//! the aws-sigv4 crate's.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign as compute},
    sign::v4,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// For whom a request is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing<'a> {
    /// The region, such as `eu-west-1`.
    pub(crate) region: &'a str,
    /// The service's name in signatures.
    pub(crate) service: &'static str,
    /// When: AWS refuses what is off by more than some minutes.
    pub(crate) at: SystemTime,
}

/// The headers that sign a POST of `body` to `url`, whose `headers` are signed along with it.
///
/// # Errors
/// What cannot be signed, without any of it.
pub(crate) fn sign(
    signing: Signing<'_>,
    credentials: &Credentials,
    url: &Url,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<HeaderMap, String> {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signing.region)
        .name(signing.service)
        .time(signing.at)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let request = SignableRequest::new(
        "POST",
        url.as_str(),
        headers.iter().copied(),
        SignableBody::Bytes(body),
    )
    .map_err(|error| error.to_string())?;
    let (instructions, _) = compute(request, &params)
        .map_err(|error| error.to_string())?
        .into_parts();
    let mut signed = HeaderMap::new();
    for (name, value) in instructions.headers() {
        let unfit = "the credentials hold characters that a header cannot";
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit.to_owned())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unfit.to_owned())?;
        value.set_sensitive(true);
        signed.insert(name, value);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// 2015-08-30T12:36:00Z, the time of all published examples.
    fn then() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    /// Cases of the "AWS Signature Version 4 Test Suite", as far as they are POSTs that can be sent.
    #[test]
    fn signatures_are_those_of_the_published_examples() {
        let signing = Signing {
            region: "us-east-1",
            service: "service",
            at: then(),
        };
        let credentials = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "test",
        );
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (case, headers, body, signed, signature) in [
            (
                "post-vanilla",
                &[][..],
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                &[form][..],
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let url = Url::parse("https://example.amazonaws.com/").unwrap();
            let headers = sign(signing, &credentials, &url, headers, body.as_bytes()).unwrap();
            assert_eq!(headers["x-amz-date"], "20150830T123600Z", "{case}");
            assert_eq!(
                headers["authorization"],
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders={signed}, Signature={signature}"
                )
                .as_str(),
                "{case}"
            );
        }
    }

    #[test]
    fn a_session_token_is_signed_and_sent() {
        let credentials =
            Credentials::new("AKIDFAKE", "fake", Some("fake-token".into()), None, "test");
        let signing = Signing {
            region: "eu-west-1",
            service: "bedrock",
            at: then(),
        };
        let url =
            Url::parse("https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse")
                .unwrap();
        let headers = sign(signing, &credentials, &url, &[], b"{}").unwrap();
        assert_eq!(headers["x-amz-security-token"], "fake-token");
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"),
            "{authorization}"
        );
        assert!(headers["authorization"].is_sensitive());
    }
}
