//! A Scout that always finds the same text, filled in for each Pulse.

use async_trait::async_trait;
use eywa_crds::template::{Template, TemplateError, Vocabulary};
use eywa_weave::{
    Pulse, SpiritName,
    ports::scout::{Harvest, Scout, ScoutError},
    spirit::Facts,
    weave::history::Turns,
};
use jiff::Timestamp;

use crate::facts;

/// Finds a text with places for what a persona knows: `now`, `user`, `session`, `voice` and `spirit`.
#[derive(Debug)]
pub struct FixedScout {
    name: String,
    spirit: SpiritName,
    text: Template,
}

impl FixedScout {
    /// A Scout of this name, unique in `spirit`, that finds `text`.
    ///
    /// # Errors
    /// When the template is malformed, or names what no persona knows.
    pub fn new(
        name: impl Into<String>,
        spirit: SpiritName,
        text: &str,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            name: name.into(),
            spirit,
            text: Template::parse(text, Vocabulary::PERSONA)?,
        })
    }
}

#[async_trait]
impl Scout for FixedScout {
    fn name(&self) -> &str {
        &self.name
    }

    async fn harvest(&self, pulse: &Pulse, _: &Turns) -> Result<Harvest, ScoutError> {
        let facts = facts::known(Facts {
            pulse,
            spirit: &self.spirit,
            now: Timestamp::now(),
        });
        let text = self
            .text
            .render(&facts)
            .map_err(|error| ScoutError(format!("the Scout {}: {error}", self.name)))?;
        Ok(Harvest {
            text: text.trim().to_owned(),
            sources: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(text: &str) -> Result<Harvest, ScoutError> {
        let scout = FixedScout::new("hours", "barista".into(), text).unwrap();
        let pulse = facts::tests::pulse("when do you close?");
        scout.harvest(&pulse, &Turns::default()).await
    }

    #[tokio::test]
    async fn it_finds_its_text_filled_in_for_the_person() {
        let text =
            "Open until 18:00.\n{% if user.name == 'Ana' %}{{ user.name }} may stay.{% endif %}\n";
        let found = found(text).await.unwrap();
        assert_eq!(found.text, "Open until 18:00.\nAna may stay.");
        assert!(found.sources.is_empty());
    }

    #[tokio::test]
    async fn a_text_that_is_empty_for_this_person_is_nothing_found() {
        let text = "{% if voice == 'web' %}Use the form.{% endif %}";
        assert_eq!(found(text).await.unwrap(), Harvest::default());
    }

    #[tokio::test]
    async fn a_text_that_cannot_be_filled_in_is_an_error_that_names_the_scout() {
        let endless =
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        let error = found(endless).await.unwrap_err().to_string();
        assert!(error.contains("the Scout hours"), "{error}");
        assert!(FixedScout::new("hours", "barista".into(), "{{ text }}").is_err());
    }
}
