//! Fetching the files that came with messages.
//!
//! Source: Meta, WhatsApp Business Platform, Cloud API, "Media": a file's id gives an address that is good for five
//! minutes, and the access token is needed for both.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use eywa_guard::{
    RequestError,
    http::{Method, StatusCode},
};
use eywa_weave::{
    ports::voice::FetchError,
    pulse::{Attachment, Media},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::{WhatsAppVoice, content::essence};

/// The longest that one of the two requests may take.
const TIMEOUT: Duration = Duration::from_secs(12);
/// The most bytes of what Meta says about a file.
const ABOUT_LIMIT: usize = 64 * 1024;

/// Which files a voice takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSettings {
    /// The most bytes of one.
    pub max_bytes: usize,
    /// Their media types: whole, such as `application/pdf`, or a family, such as `image/*`.
    pub types: Vec<String>,
}

impl MediaSettings {
    fn allows(&self, media_type: &str) -> bool {
        self.types
            .iter()
            .any(|allowed| match allowed.strip_suffix("/*") {
                Some(family) => media_type.split('/').next() == Some(family),
                None => allowed == media_type,
            })
    }

    fn check(&self, media_type: &str, bytes: Option<usize>) -> Result<(), FetchError> {
        if !self.allows(media_type) {
            let media_type = media_type.chars().take(64).collect();
            return Err(FetchError::NotAllowed { media_type });
        }
        match bytes {
            Some(bytes) if bytes > self.max_bytes => Err(FetchError::TooLarge {
                limit: self.max_bytes,
            }),
            _ => Ok(()),
        }
    }
}

/// What Meta says about a file.
#[derive(Deserialize)]
struct About {
    url: Url,
    mime_type: String,
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    file_size: Option<usize>,
}

impl WhatsAppVoice {
    /// Asks where the file is, fetches it there, and checks that it is the one that was sent.
    pub(super) async fn download(&self, attachment: &Attachment) -> Result<Media, FetchError> {
        self.media.check(&essence(&attachment.media_type), None)?;
        let about = self.about(&attachment.id).await?;
        let media_type = essence(&about.mime_type);
        self.media.check(&media_type, about.file_size)?;
        let bytes = self.get(about.url, self.media.max_bytes).await?;
        if about
            .sha256
            .is_some_and(|announced| !is_hash_of(&announced, &bytes))
        {
            return Err(FetchError::Damaged);
        }
        Ok(Media {
            media_type,
            file_name: attachment.file_name.clone(),
            bytes: bytes.into(),
        })
    }

    async fn about(&self, id: &str) -> Result<About, FetchError> {
        let mut url = self.graph_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(id);
        }
        url.query_pairs_mut()
            .append_pair("phone_number_id", &self.phone_number_id);
        let said = self.get(url, ABOUT_LIMIT).await?;
        serde_json::from_slice(&said)
            .map_err(|_| FetchError::Failed("Meta does not say where the file is".to_owned()))
    }

    /// Reads an address of Meta's with the token, which goes to the Graph API's own host, and elsewhere over https alone.
    async fn get(&self, url: Url, limit: usize) -> Result<Vec<u8>, FetchError> {
        if url.scheme() != "https" && url.origin() != self.graph_url.origin() {
            return Err(FetchError::Failed("its address is not https".to_owned()));
        }
        let answer = self
            .client
            .request(Method::GET, url)
            .bearer(self.access_token.expose_secret())
            .timeout(TIMEOUT)
            .send()
            .await
            .map_err(|error| failed(&error, limit))?;
        match answer.status() {
            status if status.is_success() => {}
            // Meta's answer to an id that is too old, or of another business, is a 400 with its code 100.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::BAD_REQUEST => {
                return Err(FetchError::Gone);
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(FetchError::Failed(
                    "Meta does not accept the access token".to_owned(),
                ));
            }
            status => return Err(FetchError::Failed(format!("Meta answered {status}"))),
        }
        let body = answer.bytes(limit).await;
        body.map(|bytes| bytes.to_vec())
            .map_err(|error| failed(&error, limit))
    }
}

/// What may be told of a request that failed: an address of Meta's is a key to the file.
fn failed(error: &RequestError, limit: usize) -> FetchError {
    match error {
        RequestError::TooLarge { .. } => FetchError::TooLarge { limit },
        RequestError::Refused(_) => {
            FetchError::Failed("its address is not one that this Spirit may reach".to_owned())
        }
        RequestError::TimedOut { .. } => FetchError::Failed("it took too long".to_owned()),
        _ => FetchError::Failed("the connection failed".to_owned()),
    }
}

/// Whether this is the SHA-256 of the bytes. Meta writes it in hexadecimal, and in webhooks in base64.
fn is_hash_of(announced: &str, bytes: &[u8]) -> bool {
    let hash = Sha256::digest(bytes);
    let announced = announced.trim();
    hex::decode(announced).is_ok_and(|given| given == hash[..])
        || BASE64_STANDARD
            .decode(announced)
            .is_ok_and(|given| given == hash[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_of_types_allows_its_members_alone() {
        let settings = MediaSettings {
            max_bytes: 10,
            types: vec!["image/*".to_owned(), "application/pdf".to_owned()],
        };
        for allowed in ["image/jpeg", "image/webp", "application/pdf"] {
            assert_eq!(settings.check(allowed, Some(10)), Ok(()), "{allowed}");
        }
        for refused in ["imagex/jpeg", "application/pdfx", "text/html", ""] {
            assert!(
                matches!(
                    settings.check(refused, None),
                    Err(FetchError::NotAllowed { .. })
                ),
                "{refused}"
            );
        }
        assert_eq!(
            settings.check("image/png", Some(11)),
            Err(FetchError::TooLarge { limit: 10 })
        );
    }

    #[test]
    fn a_hash_is_known_in_either_writing() {
        let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let base64 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
        for announced in [hex, &hex.to_uppercase(), base64] {
            assert!(is_hash_of(announced, b"hello"), "{announced}");
            assert!(!is_hash_of(announced, b"hellO"), "{announced}");
        }
        assert!(!is_hash_of("", b"hello"));
    }
}
