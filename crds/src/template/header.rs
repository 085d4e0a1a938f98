//! Templates of header values.

use serde::Serialize;

use super::{Template, TemplateError, Vocabulary};

/// A compiled template of a header's value. What cannot stand in a header is an error when it is rendered, so that no value
/// can end its line and begin another header.
#[derive(Debug)]
pub struct HeaderTemplate(Template);

impl HeaderTemplate {
    /// Compiles a template of a header's value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(source: &str, vocabulary: Vocabulary) -> Result<Self, TemplateError> {
        if source.contains(char::is_control) {
            return Err(TemplateError::NotAHeader);
        }
        Template::parse(source, vocabulary).map(Self)
    }

    /// Fills it in. White space around the value does not count.
    ///
    /// # Errors
    /// When it names what is not there, does more work than a template may, or holds a control character.
    pub fn render(&self, facts: &impl Serialize) -> Result<String, TemplateError> {
        let value = self.0.render(facts)?;
        let value = value.trim();
        if value.contains(char::is_control) {
            return Err(TemplateError::NotAHeader);
        }
        Ok(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_cannot_begin_another_header() {
        let template = HeaderTemplate::parse("table {{ arguments.table }}", Vocabulary::ACTION_URL);
        let template = template.unwrap();
        let rendered = |table: &str| template.render(&json!({"arguments": {"table": table}}));
        assert_eq!(rendered("7 ").unwrap(), "table 7");
        for evil in ["7\r\nx-admin: yes", "7\nx", "7\rx", "7\0", "7\u{7f}"] {
            assert_eq!(rendered(evil), Err(TemplateError::NotAHeader), "{evil:?}");
        }
        let literal = HeaderTemplate::parse("a\nb", Vocabulary::ACTION_URL);
        assert_eq!(literal.unwrap_err(), TemplateError::NotAHeader);
    }
}
