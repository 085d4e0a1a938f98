//! Headers whose values are kept in Secrets.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";
/// A shorter value is not searched for in texts: it would be found in words that have nothing to do with it.
const MIN_SEARCHED: usize = 8;

/// A header that cannot be sent. The text does not hold its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Its name is no header's name.
    #[error("{0:?} cannot be a header's name")]
    Name(String),
    /// Its value has a line break or another character that no header may have.
    #[error(
        "the value of the header {0} holds a character that a header cannot; look for a line break in its Secret"
    )]
    Value(String),
}

/// Headers to send with every request to one place.
#[derive(Clone, Default)]
pub struct SecretHeaders(HeaderMap);

impl fmt::Debug for SecretHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SecretHeaders {
    /// Headers of these names and values. White space around a value, such as the line break at the end of a file, does
    /// not count.
    ///
    /// # Errors
    /// When a name or a value cannot be sent.
    pub fn new(
        headers: impl IntoIterator<Item = (String, SecretString)>,
    ) -> Result<Self, InvalidHeader> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let parsed =
                HeaderName::try_from(&name).map_err(|_| InvalidHeader::Name(name.clone()))?;
            let mut value = HeaderValue::from_str(value.expose_secret().trim())
                .map_err(|_| InvalidHeader::Value(name))?;
            value.set_sensitive(true);
            map.insert(parsed, value);
        }
        Ok(Self(map))
    }

    /// The headers, each marked sensitive.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }

    /// `text` without these headers' values: what a server says may hold what it was sent.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        // `Bearer <token>` is given away by the token alone.
        let values = self.0.values().filter_map(|value| value.to_str().ok());
        let mut secrets: Vec<&str> = values
            .flat_map(|value| [value, value.rsplit(' ').next().unwrap_or(value)])
            .collect();
        secrets.retain(|secret| secret.len() >= MIN_SEARCHED);
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text, |text, secret| {
            if text.contains(secret) {
                text.replace(secret, REDACTED)
            } else {
                text
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(headers: &[(&str, &str)]) -> Result<SecretHeaders, InvalidHeader> {
        SecretHeaders::new(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))),
        )
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_and_its_value_is_not() {
        let error = headers(&[("authorization", "Bearer not-a-real\nkey")]).unwrap_err();
        assert!(
            error.to_string().contains("authorization")
                && !error.to_string().contains("not-a-real"),
            "{error}"
        );
        assert_eq!(
            headers(&[("a b", "x")]).unwrap_err(),
            InvalidHeader::Name("a b".to_owned())
        );
    }

    #[test]
    fn the_line_break_at_the_end_of_a_mounted_value_does_not_count() {
        assert_eq!(
            headers(&[("x-key", "not-a-real-key\n")]).unwrap().as_map()["x-key"],
            "not-a-real-key"
        );
    }

    #[test]
    fn what_a_server_echoes_is_shown_without_the_secrets() {
        let headers = headers(&[
            ("authorization", "Bearer not-a-real-token"),
            ("x-tenant", "7"),
        ])
        .unwrap();
        let said =
            "no user 7 for 'Bearer not-a-real-token'; not-a-real-token is unknown".to_owned();
        assert_eq!(
            headers.redact(said),
            "no user 7 for '[redacted]'; [redacted] is unknown"
        );
        assert_eq!(format!("{headers:?}"), r#"{"authorization", "x-tenant"}"#);
    }
}
