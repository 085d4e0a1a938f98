//! Headers whose values are templates.

use eywa_crds::template::{HeaderTemplate, TemplateError, Vocabulary};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

/// Headers of a request, with places for what is known.
#[derive(Debug, Default)]
pub struct TemplatedHeaders(Vec<(HeaderName, HeaderTemplate)>);

/// A header that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {name}: {reason}")]
pub struct InvalidTemplate {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: TemplateError,
}

impl TemplatedHeaders {
    /// Headers of these names, whose values are templates over `vocabulary`.
    ///
    /// # Errors
    /// When a name is none, or a template is malformed.
    pub fn parse<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        vocabulary: Vocabulary,
    ) -> Result<Self, InvalidTemplate> {
        let parsed = headers.into_iter().map(|(name, value)| {
            let invalid = |reason| InvalidTemplate {
                name: name.to_owned(),
                reason,
            };
            let parsed =
                HeaderName::try_from(name).map_err(|_| invalid(TemplateError::NotAHeader))?;
            let template = HeaderTemplate::parse(value, vocabulary).map_err(invalid)?;
            Ok((parsed, template))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The headers of one request. A value that is empty is not sent.
    ///
    /// # Errors
    /// When a value names what is not there, or cannot stand in a header. The text does not hold the value.
    pub fn render(&self, facts: &impl Serialize) -> Result<HeaderMap, InvalidTemplate> {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for (name, template) in &self.0 {
            let invalid = |reason| InvalidTemplate {
                name: name.to_string(),
                reason,
            };
            let value = template.render(facts).map_err(invalid)?;
            if value.is_empty() {
                continue;
            }
            // Beyond ASCII it goes as UTF-8, which HTTP lets through and does not name (RFC 9110, section 5.5).
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| invalid(TemplateError::NotAHeader))?;
            map.insert(name.clone(), value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_break_in_a_value_is_an_error_that_does_not_tell_the_value() {
        let headers =
            TemplatedHeaders::parse([("x-note", "{{ text }}")], Vocabulary::SCOUT_URL).unwrap();
        let error = headers
            .render(&json!({"text": "hi\r\nx-admin: 1"}))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("x-note") && !error.contains("x-admin"),
            "{error}"
        );
        let map = headers.render(&json!({"text": "José"})).unwrap();
        assert_eq!(map["x-note"].as_bytes(), "José".as_bytes());
        assert!(headers.render(&json!({"text": " "})).unwrap().is_empty());
    }
}
